//! Doc comments of the contract.

use keystead_proto::POOL;
use prost_reflect::FileDescriptor;
use std::collections::HashMap;

/// Leading comments by file and place.
#[derive(Debug)]
pub(super) struct Comments(HashMap<(String, Vec<i32>), String>);

impl Comments {
    pub(super) fn load() -> Self {
        let mut all = HashMap::new();
        for file in POOL.files() {
            let locations = file
                .file_descriptor_proto()
                .source_code_info
                .iter()
                .flat_map(|info| &info.location);
            for location in locations {
                if let Some(text) = &location.leading_comments {
                    all.insert(
                        (file.name().to_owned(), location.path.clone()),
                        text.trim().to_owned(),
                    );
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
    fn the_summary_is_the_first_sentence() {
        assert_eq!(
            super::summary("Lists\nthings (X-1). More.\n\nEven more."),
            "Lists things (X-1)"
        );
    }
}
