//! How much of the contract is built.

use crate::sources;
use anyhow::{Context, Result};
use keystead_proto::POOL;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

pub(crate) fn run(root: &Path) -> Result<()> {
    let mut handlers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut served = String::new();
    for file in sources::files(&root.join("crates/api/src"), &["rs"])? {
        let source = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        for (service, methods) in implementations(&source) {
            handlers.entry(service).or_default().extend(methods);
        }
        served.push_str(&source);
    }
    let (mut built, mut answering, mut total) = (0, 0, 0);
    for service in POOL.services() {
        let none = BTreeSet::new();
        let mine = handlers.get(service.name()).unwrap_or(&none);
        let methods: Vec<String> = service
            .methods()
            .map(|method| plain(method.name()))
            .collect();
        let count = methods
            .iter()
            .filter(|method| mine.contains(*method))
            .count();
        let is_served = served.contains(&format!("{}Server::new", service.name()));
        built += count;
        answering += if is_served { methods.len() } else { 0 };
        total += methods.len();
        println!("{:32} {count:3} of {:3}", service.name(), methods.len());
    }
    println!("built {built}, answering {answering}, total {total}");
    println!(
        "(answering: the service is registered; all others are refused as not built by the gateway)"
    );
    Ok(())
}

/// The services implemented in `source`, each with the names of its handlers.
fn implementations(source: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut found = Vec::new();
    let mut current: Option<(String, BTreeSet<String>)> = None;
    for line in source.lines() {
        if let Some(name) = line
            .strip_prefix("impl ")
            .and_then(|rest| rest.split_once(" for "))
            .map(|(name, _)| name)
        {
            let name = name.rsplit("::").next().unwrap_or(name);
            current = Some((name.to_owned(), BTreeSet::new()));
        } else if line == "}" {
            found.extend(current.take());
        } else if let (Some((_, methods)), Some(rest)) =
            (&mut current, line.strip_prefix("    async fn "))
        {
            methods.extend(rest.split(['(', '<']).next().map(plain));
        }
    }
    found
}

/// A method's name without case and underscores: generated handlers spell abbreviations their own way.
fn plain(name: &str) -> String {
    name.replace('_', "").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_are_found_by_service() {
        let source = "impl v1::a::KeyService for Keys {\n    async fn delete_key_by_id(\n        &self,\n    }\n}\n\
                      impl Keys {\n    async fn helper(&self) {}\n}\n";
        let expected = BTreeSet::from([plain("DeleteKeyByID")]);
        assert_eq!(
            implementations(source),
            [("KeyService".to_owned(), expected)]
        );
    }
}
