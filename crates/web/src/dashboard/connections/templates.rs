//! Presets for new connections: a service with the permissions of a common use (part of AK-118).

use crate::view::{Choice, Field, Kind};
use serde_json::Value as Json;
use std::sync::LazyLock;

/// The presets are data: `connector`, `id` (in the address of a form), `name`, `about`, `scopes`.
const DATA: &str = include_str!("templates.json");

/// One preset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Template {
    connector: String,
    id: String,
    name: String,
    about: String,
    /// The permissions a new connection asks for.
    pub(super) scopes: Vec<String>,
}

static ALL: LazyLock<Vec<Template>> = LazyLock::new(|| {
    let data: Vec<Json> = serde_json::from_str(DATA).unwrap_or_default();
    data.iter().filter_map(read).collect()
});

fn read(json: &Json) -> Option<Template> {
    let text = |name: &str| Some(json.get(name)?.as_str()?.to_owned());
    let scopes = json.get("scopes")?.as_array()?.iter();
    Some(Template {
        connector: text("connector")?,
        id: text("id")?,
        name: text("name")?,
        about: text("about")?,
        scopes: scopes
            .map(|scope| Some(scope.as_str()?.to_owned()))
            .collect::<Option<_>>()?,
    })
}

/// The preset that a form names; `None` for none.
pub(super) fn find(connector: &str, id: &str) -> Option<&'static Template> {
    ALL.iter()
        .find(|template| template.connector == connector && template.id == id)
}

/// The choice among the presets of a connector; `None` when it has none.
pub(super) fn field(connector: &str, chosen: &str) -> Option<Field> {
    let presets = ALL
        .iter()
        .filter(|template| template.connector == connector)
        .map(|template| Choice::new(&template.id, &template.name, &template.about, chosen));
    let presets: Vec<Choice> = presets.collect();
    let own = Choice::new(
        "",
        "I choose them myself",
        "You list the scopes after the connection is created.",
        chosen,
    );
    (!presets.is_empty()).then(|| {
        let choices = presets.into_iter().chain([own]).collect();
        Field::new("template", "Permissions", Kind::Radio(choices))
            .hint("What accounts are asked to allow. You can change it later.")
    })
}

#[cfg(test)]
mod tests {
    use super::{ALL, DATA, find};
    use serde_json::Value as Json;
    use std::{collections::BTreeSet, fs, path::Path};

    /// Part of AK-118: a preset of a scope that its service does not have would fail at the consent.
    #[test]
    fn every_preset_names_a_connector_and_scopes_that_it_knows() {
        let all: Vec<Json> = serde_json::from_str(DATA).unwrap();
        assert_eq!(ALL.len(), all.len(), "every entry is complete");
        let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connectors");
        let mut ids = BTreeSet::new();
        for template in ALL.iter() {
            let slug = template.connector.to_lowercase();
            let pack = fs::read_to_string(packs.join(slug).join("connector.yaml")).unwrap();
            assert!(pack.contains(&format!("key: {}\n", template.connector)));
            for scope in &template.scopes {
                let known = [format!("scope: {scope},"), format!("scope: '{scope}',")];
                assert!(
                    known.iter().any(|known| pack.contains(known)),
                    "{} has no scope {scope}",
                    template.connector
                );
            }
            assert!(ids.insert((&template.connector, &template.id)));
            assert_eq!(
                find(&template.connector, &template.id),
                Some(template),
                "found by its id"
            );
        }
        assert_eq!(find("GMAIL", ""), None);
    }
}
