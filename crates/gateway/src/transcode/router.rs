//! Finds the binding of an HTTP request.
//!
//! Our own tree instead of a routing library: bindings at one place name their variables
//! differently, values may hold colons next to `{id}:verb` (AK-014), and a 405 needs every verb
//! that the path would accept. At each step a literal goes before a value with a verb, that before
//! a plain value, and that before `**`; a dead end goes back and tries the next.

use super::template::Segment;
use crate::contract::{Contract, ContractError, Method};
use http::Method as Verb;
use std::{collections::HashMap, sync::Arc};

/// A method and which of its bindings was meant.
#[derive(Clone, Debug)]
pub struct Route {
    /// The method.
    pub method: Arc<Method>,
    /// Index into its bindings.
    pub binding: usize,
}

/// What a verb and a path lead to.
#[derive(Debug)]
pub enum Found<'a> {
    /// A binding, with the values of its variables as they stand in the path (percent-encoded).
    Route(&'a Route, Vec<&'a str>),
    /// The path exists with these verbs only.
    OtherVerbs(Vec<Verb>),
    /// There is no such path.
    Nothing,
}

#[derive(Default, Debug)]
struct Node {
    literals: HashMap<String, Node>,
    /// Longest first, so that no verb hides one that ends like it.
    verbs: Vec<(String, Node)>,
    value: Option<Box<Node>>,
    rest: Option<Box<Node>>,
    routes: Vec<(Verb, Route)>,
}

/// All HTTP bindings of the contract.
#[derive(Debug)]
pub struct Router(Node);

impl Router {
    /// Builds the tree.
    ///
    /// # Errors
    /// [`ContractError::Ambiguous`] when two bindings cannot be told apart.
    pub fn new(contract: &Contract) -> Result<Self, ContractError> {
        let mut root = Node::default();
        for method in contract.methods() {
            for (index, binding) in method.bindings.iter().enumerate() {
                let mut node = &mut root;
                for segment in &binding.template.segments {
                    node = node.child(segment);
                }
                if node.routes.iter().any(|(verb, _)| *verb == binding.verb) {
                    return Err(ContractError::Ambiguous {
                        verb: binding.verb.clone(),
                        path: binding.template.text.clone(),
                    });
                }
                let route = Route {
                    method: method.clone(),
                    binding: index,
                };
                node.routes.push((binding.verb.clone(), route));
            }
        }
        Ok(Self(root))
    }

    /// Looks up a request. `HEAD` is answered like `GET`.
    pub fn find<'a>(&'a self, verb: &Verb, path: &'a str) -> Found<'a> {
        let verb = if verb == Verb::HEAD { &Verb::GET } else { verb };
        let Some(path) = path.strip_prefix('/') else {
            return Found::Nothing;
        };
        let segments: Vec<&str> = path.split('/').collect();
        let mut walk = Walk {
            verb,
            values: Vec::new(),
            others: Vec::new(),
        };
        match walk.descend(&self.0, &segments) {
            Some(route) => Found::Route(route, walk.values),
            None if walk.others.is_empty() => Found::Nothing,
            None => Found::OtherVerbs(walk.others),
        }
    }
}

impl Node {
    fn child(&mut self, segment: &Segment) -> &mut Self {
        match segment {
            Segment::Literal(text) => self.literals.entry(text.clone()).or_default(),
            Segment::Rest => self.rest.get_or_insert_default(),
            Segment::Variable { verb, .. } if verb.is_empty() => self.value.get_or_insert_default(),
            Segment::Variable { verb, .. } => {
                let at = self
                    .verbs
                    .iter()
                    .position(|(known, _)| known == verb)
                    .unwrap_or_else(|| {
                        let at = self
                            .verbs
                            .partition_point(|(known, _)| known.len() > verb.len());
                        self.verbs.insert(at, (verb.clone(), Self::default()));
                        at
                    });
                #[expect(
                    clippy::indexing_slicing,
                    reason = "the index was found or inserted above"
                )]
                &mut self.verbs[at].1
            }
        }
    }
}

struct Walk<'a, 'v> {
    verb: &'v Verb,
    values: Vec<&'a str>,
    others: Vec<Verb>,
}

impl<'a> Walk<'a, '_> {
    fn descend(&mut self, node: &'a Node, segments: &[&'a str]) -> Option<&'a Route> {
        let Some((&first, remaining)) = segments.split_first() else {
            return self.arrive(node);
        };
        if let Some(child) = node.literals.get(first)
            && let Some(route) = self.descend(child, remaining)
        {
            return Some(route);
        }
        for (verb, child) in &node.verbs {
            if let Some(value) = first
                .strip_suffix(verb.as_str())
                .filter(|value| !value.is_empty())
                && let Some(route) = self.take(value, child, remaining)
            {
                return Some(route);
            }
        }
        if let Some(child) = &node.value
            && !first.is_empty()
            && let Some(route) = self.take(first, child, remaining)
        {
            return Some(route);
        }
        node.rest.as_deref().and_then(|child| self.arrive(child))
    }

    fn take(
        &mut self,
        value: &'a str,
        child: &'a Node,
        remaining: &[&'a str],
    ) -> Option<&'a Route> {
        self.values.push(value);
        let route = self.descend(child, remaining);
        if route.is_none() {
            self.values.pop();
        }
        route
    }

    fn arrive(&mut self, node: &'a Node) -> Option<&'a Route> {
        let found = node.routes.iter().find(|(verb, _)| verb == self.verb);
        if found.is_none() {
            for (verb, _) in &node.routes {
                if !self.others.contains(verb) {
                    self.others.push(verb.clone());
                }
            }
        }
        found.map(|(_, route)| route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(verb: &Verb, path: &str) -> String {
        let contract = Contract::load().unwrap();
        let router = Router::new(&contract).unwrap();
        match router.find(verb, path) {
            Found::Route(route, values) => {
                let name = route.method.descriptor.name().to_owned();
                std::iter::once(name)
                    .chain(values.into_iter().map(str::to_owned))
                    .collect::<Vec<_>>()
                    .join(" ")
            }
            Found::OtherVerbs(verbs) => format!("405 {verbs:?}"),
            Found::Nothing => "404".to_owned(),
        }
    }

    #[test]
    fn every_binding_leads_to_its_own_method() {
        let contract = Contract::load().unwrap();
        let router = Router::new(&contract).unwrap();
        for method in contract.methods() {
            for (index, binding) in method.bindings.iter().enumerate() {
                let path: Vec<String> = binding
                    .template
                    .segments
                    .iter()
                    .map(|segment| match segment {
                        Segment::Literal(text) => text.clone(),
                        Segment::Variable { verb, .. } => format!("v1{verb}"),
                        Segment::Rest => "x/y".to_owned(),
                    })
                    .collect();
                let path = format!("/{}", path.join("/"));
                let Found::Route(route, _) = router.find(&binding.verb, &path) else {
                    panic!("{path}")
                };
                assert_eq!(
                    (&route.method.path, route.binding),
                    (&method.path, index),
                    "{path}"
                );
            }
        }
    }

    #[test]
    fn a_literal_goes_before_a_value() {
        assert_eq!(
            find(&Verb::GET, "/api/v1/connected_accounts/details"),
            "GetConnectedAccountDetails"
        );
        assert_eq!(
            find(&Verb::GET, "/api/v1/connected_accounts/this"),
            "GetConnectedAccount"
        );
        assert_eq!(
            find(&Verb::POST, "/api/v1/connected_accounts/-:disconnect"),
            "DisconnectConnectedAccount"
        );
        assert_eq!(
            find(&Verb::PATCH, "/api/v1/connections/app"),
            "UpdateEnvironmentConnection app",
            "the literal has no such verb, so the value is tried"
        );
        assert_eq!(
            find(&Verb::GET, "/api/v1/connected_accounts/ca_1"),
            "GetConnectedAccount ca_1"
        );
    }

    #[test]
    fn a_verb_is_split_from_the_value() {
        assert_eq!(
            find(&Verb::PATCH, "/api/v1/connections/conn_1:enable"),
            "EnableEnvironmentConnection conn_1"
        );
        assert_eq!(
            find(&Verb::PATCH, "/api/v1/connections/conn_1"),
            "UpdateEnvironmentConnection conn_1"
        );
    }

    /// AK-014: the identifier of a custom connector holds a colon.
    #[test]
    fn a_colon_in_a_plain_value_is_part_of_it() {
        assert_eq!(
            find(&Verb::PUT, "/api/v1/custom-providers/acme:crm"),
            "UpdateCustomProvider acme:crm"
        );
        assert_eq!(
            find(&Verb::DELETE, "/api/v1/custom-providers/acme:crm"),
            "DeleteCustomProvider acme:crm"
        );
    }

    #[test]
    fn rest_takes_one_or_more_segments() {
        assert_eq!(find(&Verb::POST, "/api/v1/webhooks/wb/a"), "WebhookWrapper");
        assert_eq!(
            find(&Verb::POST, "/api/v1/webhooks/wb/a/b/c"),
            "WebhookWrapper"
        );
        assert_eq!(find(&Verb::POST, "/api/v1/webhooks/wb"), "404");
    }

    #[test]
    fn unknown_paths_and_unknown_verbs_differ() {
        assert_eq!(find(&Verb::GET, "/api/v1/nothing"), "404");
        assert_eq!(find(&Verb::GET, "/api/v1/organizations/"), "404");
        assert_eq!(find(&Verb::PUT, "/api/v1/organizations"), "405 [POST, GET]");
        assert_eq!(
            find(&Verb::HEAD, "/api/v1/organizations"),
            "ListOrganization"
        );
    }
}
