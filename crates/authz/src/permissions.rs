//! What a credential may do. The names are those of the contract (DB-046, DB-047).

use keystead_identity::members::Role;

/// Whether a permission is about one environment or about the whole workspace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tier {
    /// Billing, members, environments: never given to an API client.
    Workspace,
    /// One environment.
    Environment,
    /// Names that callers bound to one organization carry; methods list them beside the others.
    Organization,
}

/// One row of the permission table.
#[derive(Clone, Copy, Debug)]
pub struct Permission {
    /// Name on the wire.
    pub key: &'static str,
    /// What it is about.
    pub tier: Tier,
    /// Whether it is left out of the plain member's role although it only reads.
    pub sensitive: bool,
}

const fn of(tier: Tier, key: &'static str) -> Permission {
    let sensitive = false;
    Permission {
        key,
        tier,
        sensitive,
    }
}

const fn sensitive(tier: Tier, key: &'static str) -> Permission {
    Permission {
        sensitive: true,
        ..of(tier, key)
    }
}

use Tier::{Environment as E, Organization as O, Workspace as W};

/// Every permission there is, sorted by name.
pub const CATALOGUE: &[Permission] = &[
    of(E, "agent_connectors:execute"),
    of(E, "agent_connectors:read"),
    of(E, "agent_connectors:write"),
    of(E, "agent_logs:read"),
    of(E, "api_credentials:read"),
    sensitive(E, "api_credentials:rotate"),
    sensitive(E, "api_credentials:write"),
    of(E, "app_authorization:read"),
    of(E, "app_authorization:write"),
    of(E, "auth_logs:read"),
    sensitive(W, "billing:read"),
    sensitive(W, "billing:write"),
    of(E, "branding:read"),
    of(E, "branding:write"),
    sensitive(E, "connected_accounts:access"),
    of(E, "connected_accounts:read"),
    of(E, "connected_accounts:revoke"),
    of(E, "connected_accounts:write"),
    of(O, "connections_read"),
    of(O, "connections_write"),
    of(E, "custom_domain:read"),
    of(E, "custom_domain:write"),
    of(W, "dashboard_roles:read"),
    sensitive(W, "dashboard_roles:write"),
    of(O, "directories_read"),
    of(O, "directories_write"),
    of(E, "email:read"),
    of(E, "email:write"),
    sensitive(E, "encryption_keys:destroy"),
    of(E, "encryption_keys:read"),
    sensitive(E, "encryption_keys:write"),
    of(W, "environment_access:read"),
    sensitive(W, "environment_access:write"),
    of(E, "environment_settings:read"),
    of(E, "environment_settings:write"),
    of(W, "environments:create"),
    sensitive(W, "environments:write"),
    of(E, "events:read"),
    of(E, "gateway:read"),
    of(E, "gateway:write"),
    of(E, "gateway_policy:read"),
    of(E, "gateway_policy:write"),
    of(E, "interceptors:read"),
    of(E, "interceptors:write"),
    sensitive(W, "master_keys:read"),
    of(E, "mcp_servers:read"),
    of(E, "mcp_servers:write"),
    of(W, "members:read"),
    sensitive(W, "members:write"),
    of(E, "organizations:delete"),
    of(E, "organizations:read"),
    of(E, "organizations:write"),
    of(O, "organizations_read"),
    of(O, "organizations_sessions_read"),
    of(O, "organizations_sessions_write"),
    of(O, "organizations_users_invite"),
    of(O, "organizations_users_read"),
    of(O, "organizations_users_remove"),
    of(O, "organizations_users_role_update"),
    of(O, "organizations_write"),
    of(E, "portal_links:manage"),
    of(E, "scim:read"),
    of(E, "scim:write"),
    of(E, "sessions:read"),
    of(E, "sessions:revoke"),
    of(E, "sso:read"),
    of(E, "sso:write"),
    of(E, "users:delete"),
    of(E, "users:read"),
    of(E, "users:write"),
    of(E, "virtual_mcp_servers:read"),
    of(E, "virtual_mcp_servers:write"),
    of(E, "webhooks:read"),
    of(E, "webhooks:write"),
    of(W, "workspace:read"),
    sensitive(W, "workspace:write"),
];

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Permissions(u128);

const _: () = assert!(CATALOGUE.len() <= 128, "the set is a 128-bit mask");

impl Permissions {
    /// No permission at all.
    pub const NONE: Self = Self(0);

    /// What an API client of an environment may do: everything about that environment, nothing
    /// about the workspace. A leaked API credential must not be able to invite members (DB-046).
    pub fn of_environment_client() -> Self {
        Self::select(|permission| permission.tier != Tier::Workspace)
    }

    /// What a dashboard member may do (DB-042).
    pub fn of_role(role: Role) -> Self {
        let reads = |key: &str| key.ends_with(":read") || key.ends_with("_read");
        match role {
            Role::Admin => Self::select(|_| true),
            Role::Developer => Self::select(|permission| {
                let environment = permission.tier != Tier::Workspace;
                let harmless = reads(permission.key) && !permission.sensitive;
                let destroys = permission.key == "encryption_keys:destroy";
                (environment && !destroys) || harmless || permission.key == "environments:create"
            }),
            Role::Member => {
                Self::select(|permission| reads(permission.key) && !permission.sensitive)
            }
            Role::NoAccess => Self::NONE,
        }
    }

    /// What a visitor of an account-connection page may do: look at the connection and change the
    /// one account the session is bound to (AK-306).
    pub fn of_actions_portal() -> Self {
        const KEYS: [&str; 6] = [
            "agent_connectors:read",
            "branding:read",
            "connected_accounts:read",
            "connected_accounts:revoke",
            "connected_accounts:write",
            "sso:read",
        ];
        Self::select(|permission| {
            KEYS.contains(&permission.key)
                || matches!(
                    permission.key,
                    "connections_read" | "environment_settings:read"
                )
        })
    }

    /// Whether the set holds `key`. An unknown name is held by nobody.
    pub fn contains(self, key: &str) -> bool {
        CATALOGUE
            .binary_search_by(|permission| permission.key.cmp(key))
            .is_ok_and(|index| self.0 >> index & 1 == 1)
    }

    /// Whether the set holds at least one of `keys`; an empty list asks for nothing.
    pub fn allows_any<'a>(self, keys: impl IntoIterator<Item = &'a str>) -> bool {
        let mut keys = keys.into_iter().peekable();
        keys.peek().is_none() || keys.any(|key| self.contains(key))
    }

    /// The names, sorted.
    pub fn keys(self) -> impl Iterator<Item = &'static str> {
        let held = move |(index, _): &(usize, &Permission)| self.0 >> index & 1 == 1;
        CATALOGUE
            .iter()
            .enumerate()
            .filter(held)
            .map(|(_, permission)| permission.key)
    }

    fn select(wanted: impl Fn(&Permission) -> bool) -> Self {
        let bits = CATALOGUE
            .iter()
            .enumerate()
            .filter(|(_, permission)| wanted(permission));
        Self(bits.fold(0, |set, (index, _)| set | 1 << index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_sorted_and_unique() {
        assert!(CATALOGUE.is_sorted_by(|a, b| a.key < b.key));
    }

    /// Part of DB-046
    #[test]
    fn an_api_client_may_touch_its_environment_and_never_the_workspace() {
        let client = Permissions::of_environment_client();
        for key in [
            "organizations:write",
            "connected_accounts:access",
            "organizations_read",
        ] {
            assert!(client.contains(key), "{key}");
        }
        for key in [
            "members:write",
            "workspace:write",
            "billing:read",
            "environments:create",
            "no:such",
        ] {
            assert!(!client.contains(key), "{key}");
        }
    }

    /// Part of DB-042
    #[test]
    fn roles_are_ordered() {
        let [admin, developer, member, nobody] =
            [Role::Admin, Role::Developer, Role::Member, Role::NoAccess].map(Permissions::of_role);
        assert_eq!(admin.keys().count(), CATALOGUE.len());
        assert!(developer.contains("organizations:write") && !developer.contains("members:write"));
        assert!(member.contains("organizations:read") && !member.contains("organizations:write"));
        assert!(!member.contains("billing:read"));
        assert_eq!(nobody.keys().count(), 0);
        assert!(
            member
                .keys()
                .all(|key| developer.contains(key) && admin.contains(key))
        );
    }

    #[test]
    fn an_empty_list_asks_for_nothing() {
        assert!(Permissions::NONE.allows_any([]));
        assert!(!Permissions::NONE.allows_any(["users:read"]));
        assert!(Permissions::of_role(Role::Admin).allows_any(["no:such", "users:read"]));
    }
}
