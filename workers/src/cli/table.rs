//! Plain tables: columns as wide as what stands in them.

use super::terminal;

/// A table with a header.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

/// Widest a column gets before its text is cut.
const WIDEST: usize = 60;

impl Table {
    pub(super) fn new<const N: usize>(header: [&str; N]) -> Self {
        Self { rows: vec![header.iter().map(ToString::to_string).collect()] }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| printable(&cell)).to_vec());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column| self.rows.iter().filter_map(|row| row.get(column)).map(|cell: &String| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        for (i, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            let newline = if i + 1 < self.rows.len() { "\n" } else { "" };
            write!(f, "{}{newline}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// One line that does nothing to the terminal, cut where it is too wide.
pub(super) fn printable(text: &str) -> String {
    let clean: String = terminal::printable(text);
    if clean.chars().count() <= WIDEST {
        return clean;
    }
    clean.chars().take(WIDEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_controls_the_terminal() {
        let mut table = Table::new(["ID", "WHY"]);
        table.row(["a-long-id".to_owned(), "x\u{1b}[31m\ny\u{202e}".to_owned()]);
        table.row(["b".to_owned(), "é".repeat(80)]);
        let text = table.to_string();
        assert_eq!(text.lines().next(), Some("ID         WHY"));
        assert_eq!(text.lines().nth(1), Some("a-long-id  x [31m y\u{fffd}"));
        assert_eq!(text.lines().nth(2).map(|l| l.chars().count()), Some(11 + WIDEST));
    }
}
