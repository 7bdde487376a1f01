use super::Icon;
use askama::Template;

/// A form of labelled fields that posts to `action`.
#[derive(Template, Clone, Debug, Default)]
#[template(path = "parts/form.html")]
pub struct Form {
    /// Where it posts to; a path of this host.
    pub action: String,
    /// Anti-forgery token of the visitor's session. Empty when the visitor may not send the form,
    /// which then says so instead of offering a button.
    pub csrf: String,
    /// Label of the submit button.
    pub submit: String,
    /// The submit button destroys something.
    pub danger: bool,
    /// What is wrong with the whole form, if anything.
    pub error: String,
    /// Contents, in order.
    pub entries: Vec<Entry>,
    /// Where "Cancel" leads; empty for no such link.
    pub cancel: String,
}

/// One thing in a form.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Something to fill in.
    Field(Field),
    /// A heading over the fields that follow.
    Group {
        /// Heading.
        title: String,
        /// A sentence under it.
        about: String,
    },
    /// Everything after it is folded away until the visitor asks for it.
    More {
        /// Heading.
        title: String,
        /// A sentence under it.
        about: String,
    },
    /// A value the visitor does not see.
    Hidden {
        /// Name.
        name: String,
        /// Value.
        value: String,
    },
}

/// One input with its label, hint and error.
#[derive(Template, Clone, Debug, Default)]
#[template(path = "parts/field.html")]
pub struct Field {
    /// Name the value is sent under.
    pub name: String,
    /// Label above the input.
    pub label: String,
    /// Help under the label.
    pub hint: String,
    /// Must be filled in.
    pub required: bool,
    /// What the input holds. Never set for [`Kind::Secret`].
    pub value: String,
    /// What is wrong with the value.
    pub error: String,
    /// A value is stored already and kept when the input stays empty.
    pub stored: bool,
    /// Example shown while empty.
    pub placeholder: String,
    /// The browser's `autocomplete` purpose; empty means off.
    pub autocomplete: &'static str,
    /// How it is entered.
    pub kind: Kind,
    /// Longest value, in characters; 0 means the server's own limit.
    pub max_length: usize,
    /// Takes the keyboard focus when the page opens.
    pub focus: bool,
}

/// How a value is entered.
#[derive(Clone, Debug, Default)]
pub enum Kind {
    /// One line of text.
    #[default]
    Text,
    /// One line of text in fixed width: identifiers, URLs.
    Mono,
    /// An e-mail address.
    Email,
    /// A secret: masked, never sent back to the browser.
    Secret,
    /// A secret of several lines, such as a key file: never sent back to the browser.
    SecretLines,
    /// Several lines of text.
    Lines,
    /// A six-digit code.
    Code,
    /// One of some values, in a drop-down list.
    Select(Vec<Choice>),
    /// One of some values, all visible.
    Radio(Vec<Choice>),
    /// Any of some values.
    Many(Vec<Choice>),
    /// On or off. The field's `value` is not empty when on.
    Check,
}

/// One value to choose.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Value sent.
    pub value: String,
    /// Name shown.
    pub label: String,
    /// A sentence under it.
    pub about: String,
    /// Chosen.
    pub selected: bool,
    /// Always part of the answer; the visitor cannot take it away.
    pub fixed: bool,
}

impl Choice {
    /// A choice that is selected when `value` equals `current`.
    pub fn new(value: &str, label: &str, about: &str, current: &str) -> Self {
        Self {
            value: value.to_owned(),
            label: label.to_owned(),
            about: about.to_owned(),
            selected: value == current,
            fixed: false,
        }
    }
}

impl Form {
    /// The fields that have an error.
    pub fn wrong(&self) -> Vec<&Field> {
        let fields = self.entries.iter().filter_map(|entry| match entry {
            Entry::Field(field) if !field.error.is_empty() => Some(field),
            _ => None,
        });
        fields.collect()
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, field: Field) -> Self {
        self.entries.push(Entry::Field(field));
        self
    }

    /// Adds a heading.
    #[must_use]
    pub fn group(mut self, title: &str, about: &str) -> Self {
        self.entries.push(Entry::Group {
            title: title.to_owned(),
            about: about.to_owned(),
        });
        self
    }

    /// Folds away the fields that follow.
    #[must_use]
    pub fn more(mut self, title: &str, about: &str) -> Self {
        self.entries.push(Entry::More {
            title: title.to_owned(),
            about: about.to_owned(),
        });
        self
    }

    /// Whether fields are folded away, and whether one of them needs attention.
    fn folded(&self) -> (bool, bool) {
        let mut after = self
            .entries
            .iter()
            .skip_while(|entry| !matches!(entry, Entry::More { .. }));
        let any = after.next().is_some();
        (
            any,
            after.any(|entry| matches!(entry, Entry::Field(field) if !field.error.is_empty())),
        )
    }

    /// Adds a value the visitor does not see.
    #[must_use]
    pub fn hidden(mut self, name: &str, value: &str) -> Self {
        self.entries.push(Entry::Hidden {
            name: name.to_owned(),
            value: value.to_owned(),
        });
        self
    }

    /// Puts each message beside the field of that name; the others go on top.
    pub fn blame(&mut self, errors: Vec<(String, String)>) {
        for (name, message) in errors {
            let field = self.entries.iter_mut().find_map(|entry| match entry {
                Entry::Field(field) if field.name == name => Some(field),
                _ => None,
            });
            match field {
                Some(field) => field.error = sentence(&message),
                None if self.error.is_empty() => self.error = message,
                None => {
                    self.error.push(' ');
                    self.error.push_str(&message);
                }
            }
        }
    }
}

/// A message of the server as a sentence beside its field. The server names the field and goes on
/// in lower case, as in "is required".
fn sentence(message: &str) -> String {
    let message = message.trim();
    let verb = message.split(' ').next().unwrap_or_default();
    let subject = match verb {
        "is" | "must" | "has" | "cannot" | "can" | "may" | "needs" | "does" => "this ",
        _ => "",
    };
    let stop = if message.ends_with(['.', '!', '?']) || message.is_empty() {
        ""
    } else {
        "."
    };
    let text = format!("{subject}{message}{stop}");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

impl Field {
    /// A field of one kind.
    pub fn new(name: &str, label: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            label: label.to_owned(),
            kind,
            ..Self::default()
        }
    }

    /// Sets the value shown; a secret ignores it.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        if !matches!(self.kind, Kind::Secret | Kind::SecretLines) {
            self.value = value.into();
        }
        self
    }

    /// Sets the help text.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Makes it mandatory.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Sets the example shown while empty.
    #[must_use]
    pub fn placeholder(mut self, text: &str) -> Self {
        text.clone_into(&mut self.placeholder);
        self
    }

    /// Says that a value is stored.
    #[must_use]
    pub fn stored(mut self, stored: bool) -> Self {
        self.stored = stored;
        self
    }

    /// Sets the longest value, in characters.
    #[must_use]
    pub fn max(mut self, characters: usize) -> Self {
        self.max_length = characters;
        self
    }

    /// Id of the input. Names may hold anything; different names give different ids.
    pub fn id(&self) -> String {
        self.name.chars().fold("f-".to_owned(), |mut id, c| {
            match c {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => id.push(c),
                '.' => id.push('-'),
                other => id.extend(["-", &format!("{:x}", u32::from(other)), "-"]),
            }
            id
        })
    }

    fn is_code(&self) -> bool {
        matches!(self.kind, Kind::Code)
    }

    /// Ids of hint and error, for `aria-describedby`.
    pub fn described_by(&self) -> String {
        let id = self.id();
        let hint = (!self.hint.is_empty() || self.stored).then(|| format!("{id}-hint"));
        let error = (!self.error.is_empty()).then(|| format!("{id}-error"));
        [hint, error]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ")
    }
}

impl askama::filters::HtmlSafe for Form {}
impl askama::filters::HtmlSafe for Field {}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn messages_of_the_server_become_sentences() {
        for (message, shown) in [
            ("is required", "This is required."),
            ("must be a URL", "This must be a URL."),
            ("it must be a host name", "It must be a host name."),
            ("Enter a name.", "Enter a name."),
            ("", ""),
        ] {
            assert_eq!(sentence(message), shown);
        }
    }
}
