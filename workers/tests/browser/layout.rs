//! Where on a page the text of a mail is: within its place, or at least within a box that clips.

use std::fmt::Write as _;

use mailtri::mail::{limits::Limits, sanitise::sanitise};

use crate::chromium;

/// What puts text to the left of its place or above it: it does not stay.
const MOVED: [&str; 8] = [
    "<p style='letter-spacing:-100px'>AAAA</p>",
    "<p style='word-spacing:-100px'>A A A A</p>",
    "<p style='text-indent:-100px'>A</p>",
    "<p style='margin:0-100px'>A</p>",
    "<div style='margin-top:-100px'>A</div>",
    "<p style='position:fixed;left:0'>A</p>",
    "<p style='position:relative;top:-100px'>A</p>",
    "<p style='transform:scale(9)'>A</p>",
];
/// What stays though it is larger than its place.
const LARGER: [&str; 8] = [
    "<div style='height:0'><div style='height:300px'>A</div></div>",
    "<div style='max-height:9px'><table height=300><td>A</table></div>",
    "<p style='font-size:600px;line-height:0'>A</p>",
    "<div style='width:400px'>A</div>",
    "<div style='float:right;width:400px'>A</div>",
    "<table align=right width=400><td>A</table>",
    "<p dir=rtl style='white-space:nowrap'>A A A A A A A A A A A A A A A A A A A A A A A A A</p>",
    "<p style='letter-spacing:300px'>AAA</p>",
];
/// What stays and is within: newsletters hide their first words with a style that clips, and sizes that are attributes are
/// never negative to a browser.
const WITHIN: [&str; 5] = [
    "<div style='max-height:0;overflow:hidden;font-size:1px;line-height:1px'>A<br>A<br>A</div>",
    "<div style='height:0;overflow:hidden'><div style='height:300px'>A</div></div>",
    "<img alt=AAAA hspace=-100 vspace=-100>",
    "<img alt=AAAA width=-100 height=-100 border=-100 align=right>",
    "<table cellspacing=-100 cellpadding=-100 border=-100 width=-100><td height=-100>A</table>",
];
/// The box that the README speaks of.
const CLIPS: &str = "overflow:auto";

#[test]
fn text_stays_in_its_place_or_in_a_box_that_clips() {
    let cleaned = |cases: &[&str]| -> Vec<String> {
        cases.iter().map(|html| sanitise(html, &Limits::default()).unwrap().html).collect()
    };
    assert_eq!(within(&MOVED.map(str::to_owned), ""), Vec::<String>::new());
    for cases in [&MOVED[..], &WITHIN] {
        assert_eq!(outside(&cleaned(cases), ""), Vec::<String>::new());
    }
    assert_eq!(within(&cleaned(&LARGER), ""), Vec::<String>::new());
    assert_eq!(outside(&cleaned(&LARGER), CLIPS), Vec::<String>::new());
}

/// The cases that are seen outside a place with this style.
fn outside(cases: &[String], css: &str) -> Vec<String> {
    let seen = chromium::show(vec![page(cases, css)]).outside;
    seen.into_iter().map(|index| cases[index].clone()).collect()
}

/// The others.
fn within(cases: &[String], css: &str) -> Vec<String> {
    let outside = outside(cases, css);
    cases.iter().filter(|case| !outside.contains(case)).cloned().collect()
}

/// A page with a frame for each case, where the case has a place of 200 pixels in the middle. What is met anywhere
/// else in the frame is told.
fn page(cases: &[String], css: &str) -> String {
    let mut page = String::from("<!doctype html><meta charset=utf-8><link rel=icon href=data:,><body>");
    for case in cases {
        let place = format!("position:absolute;left:200px;top:200px;width:200px;{css}");
        let document = format!(
            "<!doctype html><meta charset=utf-8><style>body{{margin:0}}</style><div style='{place}'>{case}</div>"
        );
        let document = document.replace('&', "&amp;").replace('"', "&quot;");
        let _ = write!(page, "<iframe width=600 height=600 srcdoc=\"{document}\"></iframe>");
    }
    page + "<script>" + SCRIPT + "</script>"
}

/// Looks at every fifth pixel and, as letters that run backwards are not found in that way, at where each letter is: unless
/// the place clips, they are seen there.
const SCRIPT: &str = r"
const isOutside = document => {
  const mail = document.querySelector('div'), place = mail.getBoundingClientRect();
  const misses = (x, y) => x < place.left || x > place.right || y < place.top || y > place.bottom;
  for (let x = 2; x < 600; x += 5) for (let y = 2; y < 600; y += 5)
    if (misses(x, y) && mail.contains(document.elementFromPoint(x, y))) return true;
  if (getComputedStyle(mail).overflowX !== 'visible') return false;
  const texts = document.createTreeWalker(mail, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) for (let at = 0; at < text.length; at++) {
    const range = document.createRange();
    range.setStart(text, at), range.setEnd(text, at + 1);
    for (const letter of range.getClientRects()) if (misses(letter.left + 1, place.top)) return true;
  }
  return false;
};
addEventListener('load', async () => {
  for (const [index, frame] of document.querySelectorAll('iframe').entries())
    if (isOutside(frame.contentDocument)) await fetch('/outside/' + index);
  await fetch('/done/0');
});
";
