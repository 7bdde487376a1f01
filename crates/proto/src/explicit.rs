use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

/// Fields that a caller wrote down, whatever their value.
///
/// The binary form of a message cannot tell `false`, an empty list or an empty text from a field
/// that was left out; JSON and forms can. Whoever makes a request from one of those puts this into
/// the request's extensions, where the methods that care look for it (AK-019). A request that came
/// over gRPC has none, so a client cannot send it.
///
/// It may be put there before the body is read and filled once the body is known.
#[derive(Clone, Debug, Default)]
pub struct ExplicitFields(Arc<OnceLock<BTreeSet<String>>>);

impl ExplicitFields {
    /// These fields, as dotted paths from the request message: `provider.proxy_enabled`.
    pub fn new<P: Into<String>>(paths: impl IntoIterator<Item = P>) -> Self {
        let fields = Self::default();
        fields.fill(paths);
        fields
    }

    /// Says which fields were written down; only the first call counts.
    pub fn fill<P: Into<String>>(&self, paths: impl IntoIterator<Item = P>) {
        // Filled twice means that the body was read twice, and it is the same body.
        let _ = self.0.set(paths.into_iter().map(Into::into).collect());
    }

    /// Whether the field at `path` was written down.
    pub fn names(&self, path: &str) -> bool {
        self.0.get().is_some_and(|paths| paths.contains(path))
    }
}

#[cfg(test)]
mod tests {
    use super::ExplicitFields;

    #[test]
    fn a_clone_sees_what_is_filled_in_later() {
        let fields = ExplicitFields::default();
        let clone = fields.clone();
        assert!(!clone.names("provider.proxy_enabled"));
        fields.fill(["provider.proxy_enabled"]);
        assert!(clone.names("provider.proxy_enabled"));
        assert!(!clone.names("provider"));
    }
}
