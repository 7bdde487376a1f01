use std::fmt;

macro_rules! icons {
    ($($(#[$doc:meta])* $name:ident = $paths:literal;)*) => {
        /// A small line drawing; decorative, so hidden from screen readers.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Icon { $($(#[$doc])* $name,)* }

        impl Icon {
            const fn paths(self) -> &'static str {
                match self { $(Self::$name => $paths,)* }
            }
        }
    };
}

icons! {
    /// A warning sign.
    Alert = r#"<path d="M8 2.2 14.3 13H1.7z"/><path d="M8 6.4v3M8 11.3v.1"/>"#;
    /// A tick.
    Check = r#"<path d="m3.2 8.4 3.1 3.1 6.5-7"/>"#;
    /// A clock face.
    Clock = r#"<circle cx="8" cy="8" r="5.8"/><path d="M8 4.8V8l2.2 1.6"/>"#;
    /// A cross.
    Cross = r#"<path d="m4 4 8 8M12 4l-8 8"/>"#;
    /// Four tiles: the catalogue.
    Grid = r#"<rect x="2.2" y="2.2" width="4.8" height="4.8" rx="1.2"/><rect x="9" y="2.2" width="4.8" height="4.8" rx="1.2"/><rect x="2.2" y="9" width="4.8" height="4.8" rx="1.2"/><rect x="9" y="9" width="4.8" height="4.8" rx="1.2"/>"#;
    /// A house: the overview.
    Home = r#"<path d="M2.4 7.2 8 2.4l5.6 4.8v5.6a.9.9 0 0 1-.9.9H3.3a.9.9 0 0 1-.9-.9z"/><path d="M6.2 13.6V9.4h3.6v4.2"/>"#;
    /// A letter i.
    Info = r#"<circle cx="8" cy="8" r="6"/><path d="M8 7.4v3.4M8 5v.1"/>"#;
    /// A key: credentials.
    Key = r#"<circle cx="5.2" cy="10.8" r="3"/><path d="m7.4 8.6 6-6M11 5l2 2"/>"#;
    /// Stacked layers: environments.
    Layers = r#"<path d="M8 2.2 14 5.4 8 8.6 2 5.4z"/><path d="m2 8.4 6 3.2 6-3.2M2 11l6 3.2L14 11"/>"#;
    /// A padlock.
    Lock = r#"<rect x="3" y="7" width="10" height="6.8" rx="1.6"/><path d="M5.2 7V5a2.8 2.8 0 0 1 5.6 0v2"/>"#;
    /// An envelope.
    Mail = r#"<rect x="1.8" y="3.2" width="12.4" height="9.6" rx="1.6"/><path d="m2.4 4.6 5.6 4.2 5.6-4.2"/>"#;
    /// Two people: connected accounts.
    People = r#"<circle cx="6" cy="5.4" r="2.6"/><path d="M1.6 13.4c.4-2.6 2.1-4 4.4-4s4 1.4 4.4 4"/><path d="M10.6 3.2a2.4 2.4 0 0 1 0 4.6M12 9.8c1.4.6 2.2 1.8 2.5 3.6"/>"#;
    /// A plug: connections.
    Plug = r#"<path d="M5.6 1.8v3M10.4 1.8v3M3.8 4.8h8.4v2.4a4.2 4.2 0 0 1-8.4 0z"/><path d="M8 11.4v2.8"/>"#;
    /// A magnifying glass.
    Search = r#"<circle cx="7" cy="7" r="4.4"/><path d="m10.4 10.4 3.4 3.4"/>"#;
    /// A shield: user verification.
    Shield = r#"<path d="M8 1.8 13.2 4v3.8c0 3-2 5.2-5.2 6.4-3.2-1.2-5.2-3.4-5.2-6.4V4z"/><path d="m5.8 7.9 1.6 1.6 2.9-3.1"/>"#;
}

impl fmt::Display for Icon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            r#"<svg width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{}</svg>"#,
            self.paths()
        )
    }
}

impl askama::filters::HtmlSafe for Icon {}
