//! The cases of `tests/fixtures/xss.txt`, for tests: read, unescaped and combined.

const FILE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/xss.txt"));

/// Elements that events are tried on.
const TARGETS: [&str; 10] = [
    "img src=x",
    "body",
    "svg",
    "video src=x",
    "input autofocus",
    "details open",
    "div tabindex=1",
    "marquee",
    "p",
    "a href=http://a.example",
];
/// What an address is tried in.
const HOLDERS: [&str; 5] = [
    "<a href=\"|\">x</a>",
    "<img src='|'>",
    "<iframe src=\"|\"></iframe>",
    "<form action=\"|\"><input></form>",
    "<svg><a xlink:href=\"|\"><text>x</text></a></svg>",
];

/// The cases that the file's lists make.
pub(crate) fn generated() -> Vec<String> {
    let mut cases = Vec::new();
    let mut add = |name: &str, make: &dyn Fn(&str) -> Vec<String>| {
        cases.extend(words(name).iter().flat_map(|word| make(word)));
    };
    add("@events", &|event| TARGETS.iter().map(|target| format!("<{target} on{event}=xss()>x")).collect());
    add("@schemes", &|scheme| HOLDERS.iter().map(|holder| holder.replace('|', &format!("{scheme}xss()"))).collect());
    add("@styles", &|style| {
        vec![format!("<p style=\"{style}\">x</p>"), format!("<div style=\"color:red;{style};x\">y</div>")]
    });
    cases
}

/// Every `step`th case as written within each of the file's wrappers.
pub(crate) fn wrapped(step: usize) -> Vec<String> {
    let written = written();
    let wrap = |(index, wrapper): (usize, String)| {
        let chosen = written.iter().skip(index % step).step_by(step);
        chosen.map(|case| wrapper.replacen('|', case, 1)).collect::<Vec<_>>()
    };
    words("@wrappers").into_iter().enumerate().flat_map(wrap).collect()
}

/// The words of a list.
pub(crate) fn words(name: &str) -> Vec<String> {
    let lines = FILE.lines().skip_while(|line| *line != name).skip(1).take_while(|line| !line.is_empty());
    lines.flat_map(str::split_whitespace).map(unescaped).collect()
}

/// The cases that stand in the file.
pub(crate) fn written() -> Vec<String> {
    let cases = FILE.lines().take_while(|line| !line.starts_with('@'));
    cases.filter(|line| !line.is_empty() && !line.starts_with('#')).map(unescaped).collect()
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let (c, len) = match after.as_bytes().first() {
            Some(b'n') => ('\n', 1),
            Some(b't') => ('\t', 1),
            Some(b'r') => ('\r', 1),
            Some(b'0') => ('\0', 1),
            Some(b'\\') => ('\\', 1),
            Some(b'u') => {
                let code = after.get(1..5).and_then(|hex| u32::from_str_radix(hex, 16).ok());
                (code.and_then(char::from_u32).unwrap_or('\\'), 5)
            }
            _ => ('\\', 0),
        };
        out.push(c);
        rest = &after[len..];
    }
    out + rest
}
