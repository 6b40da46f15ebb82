//! A field of addresses read by the grammar of RFC 5322 §3.4 and §4.4: comments, quoted local parts, groups, routes and the
//! other obsolete forms. All of the field fits the grammar, or nothing of it is read.

use super::addr_spec::{AddrSpec, is_atom};

/// A mailbox: the words before the address, and the address. A route is read and left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) phrase: Option<String>,
    pub(super) address: AddrSpec,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Atom(String),
    Quoted(String),
    Literal(String),
    /// `.`, `@`, `,`, `:`, `;`, `<` or `>`.
    Mark(char),
}

/// The mailboxes of a field's value, those of groups too.
pub(super) fn read(value: &str) -> Option<Vec<Entry>> {
    let tokens = tokens(value)?;
    let mut reader = Reader { tokens: &tokens };
    let mut entries = Vec::new();
    loop {
        while reader.takes(',') {}
        if reader.tokens.is_empty() {
            return Some(entries);
        }
        reader.address(&mut entries)?;
        if !reader.tokens.is_empty() && !reader.takes(',') {
            return None;
        }
    }
}

struct Reader<'t> {
    tokens: &'t [Token],
}

impl<'t> Reader<'t> {
    fn takes(&mut self, mark: char) -> bool {
        match self.tokens.split_first() {
            Some((Token::Mark(next), rest)) if *next == mark => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    /// Words, and the dots between them.
    fn words(&mut self) -> &'t [Token] {
        let is_word = |token: &Token| matches!(token, Token::Atom(_) | Token::Quoted(_) | Token::Mark('.'));
        let end = self.tokens.iter().position(|token| !is_word(token)).unwrap_or(self.tokens.len());
        let (words, rest) = self.tokens.split_at(end);
        self.tokens = rest;
        words
    }

    /// A mailbox, or a group of them.
    fn address(&mut self, entries: &mut Vec<Entry>) -> Option<()> {
        let words = self.words();
        if words.is_empty() || !self.takes(':') {
            return self.mailbox(words).map(|entry| entries.push(entry));
        }
        while !self.takes(';') {
            if !self.takes(',') {
                let words = self.words();
                entries.push(self.mailbox(words)?);
            }
        }
        Some(())
    }

    fn mailbox(&mut self, words: &[Token]) -> Option<Entry> {
        if !self.takes('<') {
            return Some(Entry { phrase: None, address: self.addr_spec(words)? });
        }
        self.route()?;
        let words_inside = self.words();
        let address = self.addr_spec(words_inside)?;
        self.takes('>').then(|| Entry { phrase: phrase(words), address })
    }

    /// `@a.example,@b.example:` (§4.4).
    fn route(&mut self) -> Option<()> {
        let mut is_route = false;
        loop {
            if self.takes(',') {
                is_route = true;
            } else if self.takes('@') {
                is_route = true;
                self.domain()?;
            } else {
                return (!is_route || self.takes(':')).then_some(());
            }
        }
    }

    fn addr_spec(&mut self, local: &[Token]) -> Option<AddrSpec> {
        let local = dotted(local)?;
        if !self.takes('@') {
            return None;
        }
        AddrSpec::new(local, self.domain()?)
    }

    fn domain(&mut self) -> Option<String> {
        if let Some((Token::Literal(literal), rest)) = self.tokens.split_first() {
            self.tokens = rest;
            return Some(format!("[{literal}]"));
        }
        let words = self.words();
        let is_plain = words.iter().all(|token| !matches!(token, Token::Quoted(_)));
        is_plain.then(|| dotted(words)).flatten()
    }
}

/// Words with one dot between two of them.
fn dotted(tokens: &[Token]) -> Option<String> {
    let mut out = String::new();
    for (index, token) in tokens.iter().enumerate() {
        match (token, index % 2) {
            (Token::Atom(word) | Token::Quoted(word), 0) => out.push_str(word),
            (Token::Mark('.'), 1) => out.push('.'),
            _ => return None,
        }
    }
    (tokens.len() % 2 == 1).then_some(out)
}

/// The words of a name, encoded words as they are.
fn phrase(tokens: &[Token]) -> Option<String> {
    let mut out = String::new();
    for token in tokens {
        match token {
            Token::Mark(mark) => out.push(*mark),
            Token::Atom(word) | Token::Quoted(word) | Token::Literal(word) => {
                if !out.is_empty() {
                    out.push(' ');
                }
                out.push_str(word);
            }
        }
    }
    (!out.is_empty()).then_some(out)
}

/// The tokens of a value, without white space and comments. `None` where something is left open or stands nowhere in the
/// grammar.
fn tokens(value: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = value;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        rest = match c {
            ' ' | '\t' | '\r' | '\n' => after,
            '(' => skip_comment(after)?,
            '"' => {
                let (text, after) = until('"', after)?;
                tokens.push(Token::Quoted(text));
                after
            }
            '[' => {
                let (literal, after) = after.split_once(']')?;
                tokens.push(Token::Literal(literal.to_owned()));
                after
            }
            '.' | '@' | ',' | ':' | ';' | '<' | '>' => {
                tokens.push(Token::Mark(c));
                after
            }
            c if is_atom(c) => {
                let end = rest.find(|c: char| c == '.' || !is_atom(c)).unwrap_or(rest.len());
                let (atom, after) = rest.split_at(end);
                tokens.push(Token::Atom(atom.to_owned()));
                after
            }
            _ => return None,
        };
    }
    Some(tokens)
}

/// What stands before an end that is not escaped, its quoted pairs resolved and unfolded (§2.2.3), and what follows it.
fn until(end: char, text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => {
                escaped = false;
                out.push(c);
            }
            '\\' => escaped = true,
            c if c == end => return Some((out, text.get(at + c.len_utf8()..)?)),
            '\r' | '\n' => {}
            c => out.push(c),
        }
    }
    None
}

fn skip_comment(text: &str) -> Option<&str> {
    let (mut depth, mut escaped) = (1_usize, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' if depth == 1 => return text.get(at + 1..),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}
