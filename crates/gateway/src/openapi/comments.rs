//! Doc comments of the contract.

use keystead_proto::COMMENTS;
use prost::Message;
use prost_reflect::FileDescriptor;
use prost_types::FileDescriptorSet;
use std::collections::HashMap;

/// Leading comments by file and place.
#[derive(Debug)]
pub(super) struct Comments(HashMap<(String, Vec<i32>), String>);

impl Comments {
    pub(super) fn load() -> Self {
        let mut all = HashMap::new();
        // The bytes come from the build script; tests see that the comments are there.
        let files = FileDescriptorSet::decode(COMMENTS).unwrap_or_default().file;
        for file in files {
            let name = file.name.unwrap_or_default();
            let locations = file.source_code_info.into_iter();
            for location in locations.flat_map(|info| info.location) {
                if let Some(text) = location.leading_comments {
                    let place = (name.clone(), location.path);
                    all.insert(place, text.trim().to_owned());
                }
            }
        }
        Self(all)
    }

    /// The comment on the thing at `path` in `file`.
    pub(super) fn of(&self, file: &FileDescriptor, path: &[i32]) -> Option<String> {
        self.0
            .get(&(file.name().to_owned(), path.to_vec()))
            .map(|text| unindent(text))
    }
}

fn unindent(text: &str) -> String {
    text.lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The first sentence, for a summary.
pub(super) fn summary(text: &str) -> String {
    let paragraph = text
        .split("\n\n")
        .next()
        .unwrap_or_default()
        .replace('\n', " ");
    let sentence = paragraph.split(". ").next().unwrap_or_default();
    sentence.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_method_has_its_comment() {
        let comments = super::Comments::load();
        for service in keystead_proto::POOL.services() {
            for method in service.methods() {
                let text = comments.of(&service.parent_file(), method.path());
                assert!(
                    text.is_some_and(|text| !text.is_empty()),
                    "{}",
                    method.full_name()
                );
            }
        }
    }

    #[test]
    fn the_summary_is_the_first_sentence() {
        assert_eq!(
            super::summary("Lists\nthings (X-1). More.\n\nEven more."),
            "Lists things (X-1)"
        );
    }
}
