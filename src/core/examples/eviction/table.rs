//! The table, in Markdown.

use super::run::Score;
use std::fmt;

pub struct Row {
    pub trace: String,
    pub share: f64,
    pub has_one_size: bool,
    /// By column.
    pub scores: Vec<Score>,
}

pub struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Row>,
}

impl Table {
    pub fn new(columns: Vec<&'static str>) -> Table {
        Table { columns, rows: Vec::new() }
    }

    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn part(&self, f: &mut fmt::Formatter<'_>, title: &str, figure: fn(&Score) -> f64) -> fmt::Result {
        writeln!(f, "{title}, %:\n")?;
        write!(f, "| {:<22} | cache |", "trace")?;
        for column in &self.columns {
            write!(f, " {column:>8} |")?;
        }
        write!(f, "\n| {:-<22} | ----: |", "")?;
        for _ in &self.columns {
            write!(f, " -------: |")?;
        }
        writeln!(f)?;
        for row in &self.rows {
            let percent = (10_000.0 * row.share).round() / 100.0;
            write!(f, "| {:<22} | {percent:>3} % |", row.trace)?;
            for score in &row.scores {
                write!(f, " {:>8.1} |", figure(score))?;
            }
            writeln!(f)?;
        }
        if self.rows.len() > 1 {
            write!(f, "| {:<22} |       |", "mean")?;
            for column in 0..self.columns.len() {
                let sum: f64 = self.rows.iter().map(|row| figure(&row.scores[column])).sum();
                write!(f, " {:>8.1} |", sum / self.rows.len() as f64)?;
            }
            writeln!(f)?;
        }
        writeln!(f)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.part(f, "Requests found", |score| score.requests)?;
        self.part(f, "Bytes found", |score| score.bytes)?;
        writeln!(f, "cache: the store's arena, as a share of what all pages take in it.")?;
        let exact = self.rows.iter().filter(|row| row.has_one_size).count();
        if exact > 0 {
            writeln!(f, "oracle, one size: Belady's MIN, the best that any policy could do.")?;
        }
        if exact < self.rows.len() {
            writeln!(
                f,
                "oracle, mixed sizes: like a bound, but none, as the best is NP-hard to find: the better of throwing \
                 out\nwhat is asked for last and what has the greatest product of that distance and its size."
            )?;
        }
        Ok(())
    }
}
