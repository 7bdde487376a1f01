use super::{Choice, Empty, Monogram, Tone};
use askama::Template;

/// A table with its filters, pages and what to show while it is empty.
#[derive(Template, Clone, Debug, Default)]
#[template(path = "parts/table.html")]
pub struct Table {
    /// What the table lists, for screen readers.
    pub caption: String,
    /// Headings.
    pub columns: Vec<&'static str>,
    /// Rows of as many cells as there are headings.
    pub rows: Vec<Vec<Cell>>,
    /// Shown in place of a table without rows.
    pub empty: Option<Empty>,
    /// Links to the neighbouring pages.
    pub pager: Pager,
}

/// One cell.
#[derive(Clone, Debug)]
pub enum Cell {
    /// The row's name: leads to its page.
    Lead {
        /// Where to.
        href: String,
        /// Name.
        text: String,
        /// Second line.
        sub: String,
        /// Tile before the name.
        tile: Option<Monogram>,
    },
    /// Plain text.
    Text(String),
    /// An identifier.
    Code(String),
    /// A state.
    Badge(Tone, String),
    /// A moment: machine form and what is shown.
    Time {
        /// RFC 3339.
        machine: String,
        /// As shown.
        text: String,
    },
    /// Buttons at the end of the row.
    Actions(Vec<super::Action>),
}

/// Links to the next and previous page; empty when there is none.
#[derive(Clone, Debug, Default)]
pub struct Pager {
    /// Link to the previous page.
    pub previous: String,
    /// Link to the next page.
    pub next: String,
    /// How many rows there are in all, in words.
    pub total: String,
}

/// One filter over a list; a filter form is sent with GET.
#[derive(Clone, Debug)]
pub enum Filter {
    /// Free text.
    Search {
        /// Name.
        name: &'static str,
        /// Label.
        label: &'static str,
        /// Current text.
        value: String,
        /// Example.
        placeholder: &'static str,
    },
    /// One of some values.
    Select {
        /// Name.
        name: &'static str,
        /// Label.
        label: &'static str,
        /// The values.
        choices: Vec<Choice>,
    },
}

impl Table {
    /// The heading of a column; shown beside each value where rows are shown as cards.
    fn heading(&self, column: usize) -> &'static str {
        self.columns.get(column).copied().unwrap_or_default()
    }
}

impl Pager {
    /// Whether there is anything to show.
    pub fn is_empty(&self) -> bool {
        self.previous.is_empty() && self.next.is_empty() && self.total.is_empty()
    }
}

impl askama::filters::HtmlSafe for Table {}
