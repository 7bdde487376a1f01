//! What the descriptors say about every method: who may call it and how it looks over HTTP.

use crate::transcode::template::{Template, TemplateError};
use keystead_proto::POOL;
use prost_reflect::{DynamicMessage, FieldDescriptor, MethodDescriptor, Value};
use std::{collections::HashMap, fmt, sync::Arc};

/// A set of kinds of callers, as the bits of `auth_option.authentication_type`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallerKinds(u32);

impl CallerKinds {
    /// Nobody.
    pub const BLOCKED: Self = Self(0);
    /// Anybody, without a credential.
    pub const NONE: Self = Self(1);
    /// An API client's access token.
    pub const CLIENT: Self = Self(4);
    /// An end user's access token.
    pub const USER: Self = Self(8);
    /// An end user's session.
    pub const SESSION: Self = Self(16);
    /// A visitor of the admin portal.
    pub const CUSTOMER_PORTAL: Self = Self(32);
    /// A dashboard member.
    pub const WORKSPACE: Self = Self(64);
    /// A visitor of a connected account's page.
    pub const ACTIONS_PORTAL: Self = Self(128);

    /// All kinds that need a credential, with their names in the contract.
    pub const CREDENTIALS: &'static [(Self, &'static str)] = &[
        (Self::CLIENT, "CLIENT"),
        (Self::USER, "USER"),
        (Self::SESSION, "SESSION"),
        (Self::CUSTOMER_PORTAL, "CUSTOMER_PORTAL"),
        (Self::WORKSPACE, "WORKSPACE"),
        (Self::ACTIONS_PORTAL, "ACTIONS_PORTAL"),
    ];

    /// From the number in the contract.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Whether a caller of `kind` is in the set.
    pub const fn allow(self, kind: Self) -> bool {
        self.0 & kind.0 != 0
    }

    /// Whether a call needs no credential.
    pub const fn allow_anonymous(self) -> bool {
        self.allow(Self::NONE)
    }
}

impl fmt::Debug for CallerKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::CREDENTIALS
            .iter()
            .filter(|(kind, _)| self.allow(*kind))
            .map(|(_, name)| *name);
        f.debug_set().entries(names).finish()
    }
}

/// Which part of the request message the HTTP body is.
#[derive(Clone, Debug)]
pub enum BodyRule {
    /// There is no body.
    None,
    /// The body is the whole message; query parameters are not read.
    Whole,
    /// The body is this field.
    Field(FieldDescriptor),
}

/// One HTTP form of a method.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Verb.
    pub verb: http::Method,
    /// Path.
    pub template: Template,
    /// Meaning of the body.
    pub body: BodyRule,
}

/// One method of the contract.
#[derive(Debug)]
pub struct Method {
    /// Request path over gRPC: `/package.Service/Name`.
    pub path: String,
    /// Types of request and response, comments.
    pub descriptor: MethodDescriptor,
    /// Who may call.
    pub callers: CallerKinds,
    /// The caller needs one of these; none are needed when the list is empty.
    pub permissions: Vec<String>,
    /// HTTP forms, the main one first.
    pub bindings: Vec<Binding>,
}

impl Method {
    /// `Service/Name` without the package, for logs and metrics.
    pub fn label(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }

    /// HTTP status of success: 201 for what the published reference shows as creating.
    pub fn success(&self) -> http::StatusCode {
        if CREATED.contains(&self.label()) {
            http::StatusCode::CREATED
        } else {
            http::StatusCode::OK
        }
    }
}

/// The methods whose success the published REST reference shows as 201.
const CREATED: &[&str] = &[
    "ClientService/CreateOrganizationClient",
    "ClientService/CreateOrganizationClientSecret",
    "ConnectedAccountService/CreateConnectedAccount",
    "McpService/CreateMcpConfig",
    "OrganizationService/CreateOrganization",
    "ProviderService/CreateCustomProvider",
    "RolesService/CreateOrganizationRole",
    "RolesService/CreatePermission",
    "RolesService/CreateRole",
    "UserService/CreateMembership",
    "UserService/CreateUserAndMembership",
];

/// Methods that the contract leaves without a kind of caller: what we require instead.
/// Anything else without a kind is blocked for everybody.
const UNDECLARED: &[(&str, CallerKinds, &[&str])] = &[
    (
        "EnvironmentService/DeleteEnvironment",
        CallerKinds::WORKSPACE,
        &["environments:write"],
    ),
    ("ApiTokenService/FetchToken", CallerKinds::CLIENT, &[]),
];

/// The descriptors say something this server does not understand.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// An option the code relies on is not in the pool.
    #[error("the contract does not define {0}")]
    Missing(&'static str),
    /// A path could not be read.
    #[error("{method}: {source}")]
    Template {
        /// Where.
        method: String,
        /// Why.
        source: TemplateError,
    },
    /// A binding names a field that the request does not have.
    #[error("{method}: the request has no field {field}")]
    Field {
        /// Where.
        method: String,
        /// Which.
        field: String,
    },
    /// Two bindings have the same verb and path.
    #[error("{verb} {path} is bound twice")]
    Ambiguous {
        /// Verb.
        verb: http::Method,
        /// Path.
        path: String,
    },
    /// A validation rule without a known meaning.
    #[error("{field}: {problem}")]
    Rule {
        /// Full name of the field.
        field: String,
        /// What is not understood.
        problem: String,
    },
}

/// Every method of the contract.
#[derive(Debug)]
pub struct Contract {
    methods: Vec<Arc<Method>>,
    by_path: HashMap<String, Arc<Method>>,
}

impl Contract {
    /// Reads the embedded descriptors.
    ///
    /// # Errors
    /// [`ContractError`] when they hold something unknown; a test keeps that from being released.
    pub fn load() -> Result<Self, ContractError> {
        let http = POOL
            .get_extension_by_name("google.api.http")
            .ok_or(ContractError::Missing("google.api.http"))?;
        let auth = POOL
            .get_extension_by_name("scalekit.v1.options.auth_option")
            .ok_or(ContractError::Missing("auth_option"))?;
        let mut methods = Vec::new();
        for descriptor in POOL
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>())
        {
            let options = descriptor.options();
            let path = format!(
                "/{}/{}",
                descriptor.parent_service().full_name(),
                descriptor.name()
            );
            let mut bindings = Vec::new();
            if let Value::Message(rule) = options.get_extension(&http).as_ref() {
                collect_bindings(&descriptor, rule, &mut bindings)?;
            }
            let (callers, permissions) = match options.get_extension(&auth).as_ref() {
                Value::Message(rule) if options.has_extension(&auth) => callers(rule),
                _ => undeclared(&path),
            };
            methods.push(Arc::new(Method {
                path,
                descriptor,
                callers,
                permissions,
                bindings,
            }));
        }
        let by_path = methods
            .iter()
            .map(|method| (method.path.clone(), method.clone()))
            .collect();
        Ok(Self { methods, by_path })
    }

    /// All methods.
    pub fn methods(&self) -> &[Arc<Method>] {
        &self.methods
    }

    /// The method with this gRPC request path.
    pub fn by_path(&self, path: &str) -> Option<&Arc<Method>> {
        self.by_path.get(path)
    }
}

fn callers(rule: &DynamicMessage) -> (CallerKinds, Vec<String>) {
    let kind = rule
        .get_field_by_name("authentication_type")
        .and_then(|value| value.as_enum_number());
    let permissions = rule
        .get_field_by_name("permissions")
        .and_then(|value| value.as_list().map(<[Value]>::to_vec))
        .unwrap_or_default();
    (
        CallerKinds::from_bits(kind.and_then(|kind| u32::try_from(kind).ok()).unwrap_or(0)),
        permissions
            .iter()
            .filter_map(|value| value.as_str().map(str::to_owned))
            .collect(),
    )
}

fn undeclared(path: &str) -> (CallerKinds, Vec<String>) {
    UNDECLARED
        .iter()
        .find(|(label, ..)| path.ends_with(label))
        .map_or(
            (CallerKinds::BLOCKED, Vec::new()),
            |(_, kinds, permissions)| {
                (
                    *kinds,
                    permissions.iter().map(|name| (*name).to_owned()).collect(),
                )
            },
        )
}

fn collect_bindings(
    method: &MethodDescriptor,
    rule: &DynamicMessage,
    bindings: &mut Vec<Binding>,
) -> Result<(), ContractError> {
    let text = |name| {
        let value = rule
            .get_field_by_name(name)
            .filter(|_| rule.has_field_by_name(name));
        value.and_then(|value| value.as_str().map(str::to_owned))
    };
    let verbs = [
        ("get", http::Method::GET),
        ("put", http::Method::PUT),
        ("post", http::Method::POST),
        ("delete", http::Method::DELETE),
        ("patch", http::Method::PATCH),
    ];
    let request = method.input();
    let missing = |field: &str| ContractError::Field {
        method: method.full_name().to_owned(),
        field: field.to_owned(),
    };
    for (name, verb) in verbs {
        let Some(path) = text(name) else { continue };
        let template =
            Template::parse(&path, &request).map_err(|source| ContractError::Template {
                method: method.full_name().to_owned(),
                source,
            })?;
        let body = match text("body").as_deref() {
            None | Some("") => BodyRule::None,
            Some("*") => BodyRule::Whole,
            Some(field) => BodyRule::Field(
                request
                    .get_field_by_name(field)
                    .ok_or_else(|| missing(field))?,
            ),
        };
        if let Some(field) = text("response_body").filter(|field| !field.is_empty()) {
            // No method of the contract uses it; an answer that ignores it would be wrong.
            return Err(missing(&field));
        }
        bindings.push(Binding {
            verb,
            template,
            body,
        });
    }
    let more = rule.get_field_by_name("additional_bindings");
    for rule in more
        .iter()
        .filter_map(|value| value.as_list())
        .flatten()
        .filter_map(Value::as_message)
    {
        collect_bindings(method, rule, bindings)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_and_binding_is_read() {
        let contract = Contract::load().unwrap();
        let methods = contract.methods().iter();
        let official: Vec<_> = methods
            .filter(|method| method.descriptor.full_name().starts_with("scalekit."))
            .collect();
        let bindings: usize = official.iter().map(|method| method.bindings.len()).sum();
        assert_eq!((official.len(), bindings), (444, 486));
        assert!(
            contract
                .methods()
                .iter()
                .all(|method| !method.bindings.is_empty())
        );
    }

    #[test]
    fn callers_and_permissions_come_from_the_options() {
        let contract = Contract::load().unwrap();
        let method = contract
            .by_path("/scalekit.v1.organizations.OrganizationService/UpdateOrganization")
            .unwrap();
        assert_eq!(method.callers, CallerKinds::from_bits(64 | 16 | 4));
        assert_eq!(
            method.permissions,
            ["organizations_write", "organizations:write"]
        );
    }

    #[test]
    fn methods_without_a_kind_of_caller_are_not_open() {
        let contract = Contract::load().unwrap();
        let kinds = |label: &str| {
            contract
                .methods()
                .iter()
                .find(|method| method.label() == label)
                .unwrap()
                .callers
        };
        assert_eq!(
            kinds("EnvironmentService/DeleteEnvironment"),
            CallerKinds::WORKSPACE
        );
        assert_eq!(kinds("ApiTokenService/FetchToken"), CallerKinds::CLIENT);
        assert_eq!(
            kinds("WebhookService/SendWebhookEvent"),
            CallerKinds::BLOCKED
        );
        assert_eq!(kinds("Dummy/DummyService"), CallerKinds::BLOCKED);
    }

    #[test]
    fn every_name_in_the_created_table_is_a_method() {
        let contract = Contract::load().unwrap();
        for name in CREATED {
            assert!(
                contract
                    .methods()
                    .iter()
                    .any(|method| method.label() == *name),
                "{name}"
            );
        }
    }
}
