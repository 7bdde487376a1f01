/// Declares an enum that is stored by a fixed word. The words never change: they are in databases.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// The stored word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Reads the stored word.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl $crate::FromValue for $name {
            type Raw = String;
            fn from_raw(raw: String) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
                Self::parse(&raw).ok_or_else(|| "an unknown word".into())
            }
        }
    };
}

pub(crate) use text_enum;
