//! Views: plain structs that know nothing of requests, and the templates that render them.
//!
//! Everything a template prints is escaped unless its type is one of the components here, which
//! escape their own contents. There is no other way to put markup on a page.

mod block;
mod form;
mod icon;
mod page;
mod table;

pub use block::{
    Action, Block, Card, CardBody, Catalogue, Empty, Fact, FactValue, Item, Notice, Stat, Step,
    Style,
};
pub use form::{Choice, Entry, Field, Form, Kind};
pub use icon::Icon;
pub use page::{
    Confirm, ConnectPage, Crumb, EnvironmentChoice, HandOff, Outcome, OutcomePage, Page, Shell,
    SignInPage,
};
pub use table::{Cell, Filter, Pager, Table};

/// The colour of a badge, notice or outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tone {
    /// Neither good nor bad.
    #[default]
    Neutral,
    /// All is well.
    Good,
    /// Needs attention soon.
    Warn,
    /// Something failed.
    Bad,
    /// Worth knowing.
    Info,
}

impl std::fmt::Display for Tone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Neutral => "",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Info => "info",
        })
    }
}

/// A coloured tile with the first letters of a name: stands in for a logo, because nothing is
/// loaded from another host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Monogram {
    /// One or two letters.
    pub letters: String,
    /// Which of the eight colours.
    pub colour: u8,
}

impl Monogram {
    /// Letters and colour of a name; the same name always looks the same.
    pub fn of(name: &str) -> Self {
        let mut words = name
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty());
        let first = words.next().unwrap_or("?");
        let letters = match words.next() {
            Some(second) => first
                .chars()
                .take(1)
                .chain(second.chars().take(1))
                .collect(),
            None => first.chars().take(2).collect::<String>(),
        };
        // FNV-1a, folded: the low bits alone repeat too often.
        let sum = name
            .to_lowercase()
            .bytes()
            .fold(2_166_136_261_u32, |sum, byte| {
                (sum ^ u32::from(byte)).wrapping_mul(16_777_619)
            });
        let sum = sum ^ (sum >> 15);
        Self {
            letters: letters.to_uppercase(),
            colour: u8::try_from(sum % 8).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Monogram;

    #[test]
    fn monograms_take_two_letters_and_survive_odd_names() {
        assert_eq!(Monogram::of("Google Drive").letters, "GD");
        assert_eq!(Monogram::of("slack").letters, "SL");
        assert_eq!(Monogram::of("").letters, "?");
        assert_eq!(Monogram::of("<b>").letters, "B");
        assert!(Monogram::of("anything").colour < 8);
    }
}
