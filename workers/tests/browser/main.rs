//! What the sanitiser lets through, in a real browser: no script runs, no request leaves, and a box holds it.
//!
//! Every case of `tests/fixtures/xss.txt` gets a frame of its own in headless Chromium, every event that has a name is sent to
//! every element, and every link with a scheme of its own is clicked. All host names lead to a server of the test, so
//! that a request to anywhere is seen. The same cases as they were written show that the page would tell.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod chromium;
mod layout;
#[path = "../../src/mail/sanitise/xss.rs"]
mod xss;

use std::{fmt::Write as _, time::Duration};

use mailtri::mail::{limits::Limits, sanitise::sanitise};

/// A host name that leads to the test's server, as every other does.
const HOST: &str = "canary.example";
/// How many frames a page has.
const FRAMES: usize = 250;

#[test]
fn no_script_runs_and_no_request_leaves() {
    let (written, generated) = (xss::written(), xss::generated());
    // In full with SOAK=1: it takes a browser two minutes.
    let step = if std::env::var_os("SOAK").is_some() { 1 } else { 6 };
    let others = generated.into_iter().chain(xss::wrapped(11)).step_by(step);
    let cases: Vec<String> = written.into_iter().chain(others).map(|case| case.replace("HOST", HOST)).collect();
    assert!(cases.len() > 700, "{}", cases.len());
    let limits = Limits { html_budget: Duration::from_secs(60), ..Limits::default() };
    let cleaned: Vec<String> = cases.iter().map(|case| sanitise(case, &limits).unwrap().html).collect();
    let seen = chromium::show(pages(&cleaned));
    let ran: Vec<_> = seen.ran.iter().map(|n| (&cases[*n], &cleaned[*n])).collect();
    assert!(ran.is_empty(), "{ran:#?}");
    // Read by the browser and written again it is the same: what comes after it reads what was checked here.
    let differ: Vec<_> = seen.differ.iter().map(|n| (&cases[*n], &cleaned[*n])).collect();
    assert!(differ.is_empty(), "{differ:#?}");
    assert!(seen.requests.is_empty(), "{:#?}", seen.requests);
}

#[test]
fn the_page_tells_of_scripts_and_requests() {
    let cases: Vec<String> = xss::written().into_iter().map(|case| case.replace("HOST", HOST)).collect();
    let seen = chromium::show(pages(&cases));
    assert!(seen.ran.len() > 80, "{} of {}", seen.ran.len(), cases.len());
    let asked = |what: &str| seen.requests.iter().any(|request| request.contains(HOST) && request.contains(what));
    assert!(["/t.gif", "/s.css", "/b.gif"].iter().any(|what| asked(what)), "{:#?}", seen.requests);
    assert!(seen.requests.len() > 10, "{:#?}", seen.requests);
}

fn pages(cases: &[String]) -> Vec<String> {
    let count = cases.len().div_ceil(FRAMES);
    let page = |(number, cases): (usize, &[String])| {
        let mut page = String::from("<!doctype html><meta charset=utf-8><link rel=icon href=data:,><body>");
        for (index, case) in cases.iter().enumerate() {
            let case_number = number * FRAMES + index;
            let own = format!("<script>window.xss = () => parent.ran({case_number})</script>");
            let document = format!("<!doctype html><meta charset=utf-8>{own}<div>{case}</div>")
                .replace('&', "&amp;")
                .replace('"', "&quot;");
            let _ = write!(page, "<iframe width=50 height=50 srcdoc=\"{document}\"></iframe>");
        }
        let next = if number + 1 < count { format!("location = '/page/{}'", number + 1) } else { String::new() };
        let events: String = xss::words("@events").iter().fold(String::new(), |all, event| format!("{all}'{event}',"));
        let _ = write!(
            page,
            "<script>{}</script>",
            SCRIPT
                .replace("EVENTS", &events)
                .replace("NEXT", &next)
                .replace("NUMBER", &number.to_string())
                .replace("FIRST", &(number * FRAMES).to_string())
        );
        page
    };
    cases.chunks(FRAMES).enumerate().map(page).collect()
}

/// Sends every event to every element, clicks what has a scheme of its own, and waits for what comes of it.
const SCRIPT: &str = r"
const told = new Set();
window.ran = n => { if (!told.has(n)) { told.add(n); fetch('/ran/' + n) } };
const poke = element => {
  for (const name of [EVENTS]) try { element.dispatchEvent(new Event(name)) } catch {}
  const address = element.href ?? element.action;
  const text = String(address?.baseVal ?? address ?? 'http:');
  if (!/^(https?|mailto|tel):/.test(text)) try { element.click ? element.click() : element.dispatchEvent(new MouseEvent('click', { bubbles: true })) } catch {}
};
addEventListener('load', () => {
  document.querySelectorAll('iframe').forEach((frame, index) => {
    const written = frame.contentDocument?.querySelector('div')?.innerHTML;
    if (written !== frame.srcdoc.slice(frame.srcdoc.indexOf('<div>') + 5, -6)) fetch('/differs/' + (index + FIRST))
  });
  for (const frame of document.querySelectorAll('iframe')) try { frame.contentDocument.querySelectorAll('*').forEach(poke) } catch {}
  setTimeout(async () => { await fetch('/done/NUMBER'); NEXT }, 1000);
});
";
