use super::{Filter, Form, Icon, Monogram, Table, Tone};
use askama::Template;

/// One part of a dashboard page.
#[derive(Template, Clone, Debug)]
#[template(path = "parts/block.html")]
pub enum Block {
    /// A message.
    Notice(Notice),
    /// A framed section.
    Card(Box<Card>),
    /// A list.
    Table(Table),
    /// A form without a frame.
    Form(Form),
    /// Filters over what follows; sent with GET to the address given.
    Filters {
        /// Address.
        action: String,
        /// The filters.
        filters: Vec<Filter>,
        /// Whether any filter is set, so that "Clear" makes sense.
        active: bool,
    },
    /// Connectors to choose from.
    Catalogue(Catalogue),
    /// Numbers at a glance.
    Stats(Vec<Stat>),
    /// What to show in place of an empty list.
    Empty(Empty),
}

/// A message to the visitor.
#[derive(Template, Clone, Debug, Default)]
#[template(path = "parts/notice.html")]
pub struct Notice {
    /// Colour.
    pub tone: Tone,
    /// One line.
    pub title: String,
    /// What it means and what to do.
    pub text: String,
    /// Points.
    pub points: Vec<String>,
    /// Text to copy, shown once or for reference.
    pub copy: String,
    /// Announced when the page opens, because it answers what the visitor just did.
    pub toast: bool,
}

/// A framed section with a title.
#[derive(Template, Clone, Debug, Default)]
#[template(path = "parts/card.html")]
pub struct Card {
    /// Title; empty for none.
    pub title: String,
    /// A sentence under it.
    pub about: String,
    /// Buttons beside the title.
    pub actions: Vec<Action>,
    /// Contents.
    pub body: CardBody,
    /// Holds actions that destroy something.
    pub danger: bool,
}

/// What a card holds.
#[derive(Clone, Debug, Default)]
pub enum CardBody {
    /// Only its head.
    #[default]
    Nothing,
    /// Names and values.
    Facts(Vec<Fact>),
    /// A form.
    Form(Form),
    /// A list.
    Table(Table),
    /// Text to copy.
    Copy(String),
    /// Things to do, in order.
    Steps(Vec<Step>),
    /// A message.
    Notice(Notice),
}

/// A name and its value.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Name.
    pub name: &'static str,
    /// Value.
    pub value: FactValue,
    /// A sentence under the value.
    pub note: String,
}

/// The value of a [`Fact`].
#[derive(Clone, Debug)]
pub enum FactValue {
    /// Text; empty shows a dash.
    Text(String),
    /// Text to copy.
    Copy(String),
    /// An identifier.
    Code(String),
    /// A state.
    Badge(Tone, String),
    /// Several words.
    Tags(Vec<String>),
    /// A link.
    Link {
        /// Where to.
        href: String,
        /// Text.
        text: String,
    },
    /// A moment.
    Time {
        /// RFC 3339; empty when there is none.
        machine: String,
        /// As shown.
        text: String,
    },
}

/// A button: a link (GET) or a one-button form (POST).
#[derive(Template, Clone, Debug, Default)]
#[template(path = "parts/action.html")]
pub struct Action {
    /// Label.
    pub label: String,
    /// Where to.
    pub href: String,
    /// Anti-forgery token: makes it a POST.
    pub csrf: Option<String>,
    /// Look.
    pub style: Style,
    /// Small.
    pub small: bool,
}

/// The look of a button.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Style {
    /// Plain.
    #[default]
    Normal,
    /// The one thing to do here.
    Primary,
    /// Destroys something.
    Danger,
}

/// What to show in place of an empty list.
#[derive(Template, Clone, Debug)]
#[template(path = "parts/empty.html")]
pub struct Empty {
    /// Picture.
    pub icon: Icon,
    /// One line.
    pub title: String,
    /// What it is for and how to begin.
    pub text: String,
    /// How to begin.
    pub actions: Vec<Action>,
}

/// Connectors in a grid.
#[derive(Template, Clone, Debug)]
#[template(path = "parts/catalogue.html")]
pub struct Catalogue {
    /// The connectors.
    pub items: Vec<Item>,
    /// In words: how many.
    pub total: String,
}

/// One connector of the catalogue.
#[derive(Clone, Debug)]
pub struct Item {
    /// Where it leads.
    pub href: String,
    /// Name.
    pub name: String,
    /// Tile.
    pub tile: Monogram,
    /// How it authenticates.
    pub how: String,
    /// What it is.
    pub about: String,
    /// Categories.
    pub tags: Vec<String>,
}

/// A number at a glance.
#[derive(Clone, Debug)]
pub struct Stat {
    /// Where it leads.
    pub href: String,
    /// The number.
    pub number: String,
    /// What it counts.
    pub what: &'static str,
}

/// One thing to do on the way to a working set-up.
#[derive(Clone, Debug)]
pub struct Step {
    /// What.
    pub title: &'static str,
    /// Why.
    pub about: String,
    /// Done already.
    pub done: bool,
    /// How.
    pub action: Action,
}

impl Action {
    /// A link.
    pub fn link(label: &str, href: impl Into<String>) -> Self {
        Self {
            label: label.to_owned(),
            href: href.into(),
            ..Self::default()
        }
    }

    /// A button that changes something.
    pub fn post(label: &str, href: impl Into<String>, csrf: &str) -> Self {
        Self {
            csrf: Some(csrf.to_owned()),
            ..Self::link(label, href)
        }
    }

    /// Makes it the one thing to do here.
    #[must_use]
    pub fn primary(mut self) -> Self {
        self.style = Style::Primary;
        self
    }

    /// Warns that it destroys something.
    #[must_use]
    pub fn danger(mut self) -> Self {
        self.style = Style::Danger;
        self
    }

    /// Makes it small.
    #[must_use]
    pub fn small(mut self) -> Self {
        self.small = true;
        self
    }

    fn class(&self) -> &'static str {
        match (self.style, self.small) {
            (Style::Normal, false) => "button",
            (Style::Normal, true) => "button small",
            (Style::Primary, false) => "button primary",
            (Style::Primary, true) => "button primary small",
            (Style::Danger, false) => "button danger",
            (Style::Danger, true) => "button danger small",
        }
    }
}

impl Fact {
    /// A name with a plain value.
    pub fn text(name: &'static str, value: impl Into<String>) -> Self {
        Self::new(name, FactValue::Text(value.into()))
    }

    /// A name with a value.
    pub fn new(name: &'static str, value: FactValue) -> Self {
        Self {
            name,
            value,
            note: String::new(),
        }
    }

    /// Adds a sentence under the value.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

impl Notice {
    /// A message.
    pub fn new(tone: Tone, title: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            tone,
            title: title.into(),
            text: text.into(),
            ..Self::default()
        }
    }

    fn is_urgent(&self) -> bool {
        self.tone == Tone::Bad
    }

    fn icon(&self) -> Icon {
        match self.tone {
            Tone::Good => Icon::Check,
            Tone::Warn | Tone::Bad => Icon::Alert,
            Tone::Info | Tone::Neutral => Icon::Info,
        }
    }
}

impl askama::filters::HtmlSafe for Block {}
impl askama::filters::HtmlSafe for Notice {}
impl askama::filters::HtmlSafe for Card {}
impl askama::filters::HtmlSafe for Action {}
impl askama::filters::HtmlSafe for Empty {}
impl askama::filters::HtmlSafe for Catalogue {}
