//! Codes, tokens and token families: the rules, without HTTP.

use super::{
    ClientRegistration,
    keep::{by_hash, micros},
    sha256,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keystead_types::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, time::Duration};

const CODE_LIFETIME: Duration = Duration::from_mins(5);
/// Above this many entries, dead ones are dropped.
const CROWDED: usize = 10_000;

type Hash = [u8; 32];

/// One consent of one person; all tokens that come from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Family {
    pub(crate) id: u64,
    pub(crate) client_id: String,
    pub(crate) subject: String,
    pub(crate) scope: String,
    pub(crate) revoked: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NewCode {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) subject: String,
    pub(crate) scope: String,
    pub(crate) challenge: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Code {
    new: NewCode,
    #[serde(with = "micros")]
    expires_at: Timestamp,
    /// The family it was redeemed for.
    redeemed: Option<u64>,
}

/// Whom a live access token stands for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Access {
    /// None for client credentials.
    pub(crate) family: Option<u64>,
    pub(crate) client_id: String,
    pub(crate) subject: String,
    pub(crate) scope: String,
    #[serde(with = "micros")]
    expires_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
struct Refresh {
    family: u64,
    used: bool,
}

/// Why a code or refresh token is refused; `revoked` names the family that fell with it.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Refused {
    /// The OAuth error code.
    pub(crate) error: &'static str,
    pub(crate) why: &'static str,
    pub(crate) revoked: Option<u64>,
    pub(crate) reuse: bool,
}

impl Refused {
    const fn because(why: &'static str) -> Self {
        Self {
            error: "invalid_grant",
            why,
            revoked: None,
            reuse: false,
        }
    }
}

/// How refresh tokens behave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RefreshRules {
    /// Each use gives a new refresh token and ends the old one.
    pub(crate) rotation: bool,
    /// A second use of an ended one revokes the family.
    pub(crate) reuse_detection: bool,
}

/// All clients, codes and tokens.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Grants {
    clients: HashMap<String, ClientRegistration>,
    #[serde(with = "by_hash")]
    codes: HashMap<Hash, Code>,
    families: HashMap<u64, Family>,
    #[serde(with = "by_hash")]
    access: HashMap<Hash, Access>,
    #[serde(with = "by_hash")]
    refresh: HashMap<Hash, Refresh>,
    last_family: u64,
    /// Grows with everything that the file must know of.
    #[serde(skip)]
    changes: u64,
}

impl Grants {
    /// Number of the last change.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    /// Notes a change, also one of what is kept beside the grants.
    pub(crate) const fn changed(&mut self) {
        self.changes += 1;
    }

    pub(crate) fn register(&mut self, client: ClientRegistration) {
        self.changed();
        self.clients.insert(client.client_id.clone(), client);
    }

    pub(crate) fn client(&self, id: &str) -> Option<&ClientRegistration> {
        self.clients.get(id)
    }

    pub(crate) fn clients(&self) -> Vec<ClientRegistration> {
        let mut all: Vec<_> = self.clients.values().cloned().collect();
        all.sort_unstable_by(|a, b| a.client_id.cmp(&b.client_id));
        all
    }

    /// Consents that still live, newest first.
    pub(crate) fn live_families(&self) -> Vec<Family> {
        let mut live: Vec<_> = self
            .families
            .values()
            .filter(|family| !family.revoked)
            .cloned()
            .collect();
        live.sort_unstable_by_key(|family| std::cmp::Reverse(family.id));
        live
    }

    pub(crate) fn add_code(&mut self, code: &str, new: NewCode, now: Timestamp) {
        self.changed();
        if self.codes.len() > CROWDED {
            self.codes.retain(|_, code| code.expires_at > now);
        }
        let expires_at = now.plus(CODE_LIFETIME);
        let entry = Code {
            new,
            expires_at,
            redeemed: None,
        };
        self.codes.insert(sha256(code.as_bytes()), entry);
    }

    /// Starts a family for a code. A code that comes twice revokes what the first use gave
    /// (RFC 6749 section 4.1.2).
    pub(crate) fn redeem(
        &mut self,
        code: &str,
        client_id: &str,
        redirect_uri: &str,
        verifier: Option<&str>,
        now: Timestamp,
    ) -> Result<Family, Refused> {
        self.changed();
        let unknown = Refused::because("the code is unknown, expired or belongs to another client");
        let Some(entry) = self.codes.get_mut(&sha256(code.as_bytes())) else {
            return Err(unknown);
        };
        if entry.new.client_id != client_id || entry.expires_at <= now {
            return Err(unknown);
        }
        if let Some(family) = entry.redeemed {
            let revoked = self.revoke_family(family).then_some(family);
            return Err(Refused {
                error: "invalid_grant",
                why: "the code was used before",
                revoked,
                reuse: true,
            });
        }
        if entry.new.redirect_uri != redirect_uri {
            return Err(Refused::because(
                "redirect_uri is not the one of the authorization request",
            ));
        }
        check_pkce(entry.new.challenge.as_deref(), verifier).map_err(Refused::because)?;
        if self.families.len() > CROWDED {
            self.families.retain(|_, family| !family.revoked);
        }
        self.last_family += 1;
        entry.redeemed = Some(self.last_family);
        let family = Family {
            id: self.last_family,
            client_id: client_id.to_owned(),
            subject: entry.new.subject.clone(),
            scope: entry.new.scope.clone(),
            revoked: false,
        };
        self.families.insert(family.id, family.clone());
        Ok(family)
    }

    /// Uses a refresh token, for `scope` or everything granted. The caller adds the new tokens.
    pub(crate) fn refresh(
        &mut self,
        token: &str,
        client_id: &str,
        scope: Option<&str>,
        rules: RefreshRules,
    ) -> Result<Family, Refused> {
        self.changed();
        let dead = Refused::because("the refresh token is unknown or was revoked");
        let Some(entry) = self.refresh.get_mut(&sha256(token.as_bytes())) else {
            return Err(dead);
        };
        let mut family = match self.families.get(&entry.family) {
            Some(family) if family.client_id == client_id => family.clone(),
            _ => return Err(dead),
        };
        if entry.used {
            let revoked =
                (rules.reuse_detection && self.revoke_family(family.id)).then_some(family.id);
            return Err(Refused {
                error: "invalid_grant",
                why: "the refresh token was used before",
                revoked,
                reuse: true,
            });
        }
        if family.revoked {
            return Err(dead);
        }
        if let Some(scope) = scope {
            let granted = |wanted| family.scope.split_whitespace().any(|known| known == wanted);
            if !scope.split_whitespace().all(granted) {
                return Err(Refused {
                    error: "invalid_scope",
                    ..Refused::because("more was asked for than was granted")
                });
            }
            scope.clone_into(&mut family.scope);
        }
        entry.used = rules.rotation;
        Ok(family)
    }

    pub(crate) fn add_refresh(&mut self, token: &str, family: u64) {
        self.changed();
        if self.refresh.len() > CROWDED {
            let families = &self.families;
            self.refresh.retain(|_, token| {
                !token.used
                    && families
                        .get(&token.family)
                        .is_some_and(|family| !family.revoked)
            });
        }
        self.refresh.insert(
            sha256(token.as_bytes()),
            Refresh {
                family,
                used: false,
            },
        );
    }

    pub(crate) fn add_access(&mut self, token: &str, access: Access, now: Timestamp) {
        self.changed();
        if self.access.len() > CROWDED {
            self.access.retain(|_, access| access.expires_at > now);
        }
        self.access.insert(sha256(token.as_bytes()), access);
    }

    /// Whom an access token stands for, while it lives.
    pub(crate) fn find_access(&self, token: &str, now: Timestamp) -> Option<&Access> {
        let access = self.access.get(&sha256(token.as_bytes()))?;
        let revoked = access
            .family
            .is_some_and(|id| self.families.get(&id).is_none_or(|family| family.revoked));
        (access.expires_at > now && !revoked).then_some(access)
    }

    /// Ends a token of the client (RFC 7009): a refresh token takes its whole family along. Gives the
    /// family that fell.
    pub(crate) fn revoke(&mut self, token: &str, client_id: &str) -> Option<u64> {
        self.changed();
        let hash = sha256(token.as_bytes());
        if let Some(refresh) = self.refresh.get(&hash) {
            let family = refresh.family;
            let own = self
                .families
                .get(&family)
                .is_some_and(|family| family.client_id == client_id);
            return (own && self.revoke_family(family)).then_some(family);
        }
        if self
            .access
            .get(&hash)
            .is_some_and(|access| access.client_id == client_id)
        {
            self.access.remove(&hash);
        }
        None
    }

    /// Ends everything that came from one consent; false when it had ended before.
    pub(crate) fn revoke_family(&mut self, id: u64) -> bool {
        self.changed();
        match self.families.get_mut(&id) {
            Some(family) if !family.revoked => {
                family.revoked = true;
                true
            }
            _ => false,
        }
    }
}

impl Access {
    pub(crate) fn of_family(family: &Family, expires_at: Timestamp) -> Self {
        Self {
            family: Some(family.id),
            client_id: family.client_id.clone(),
            subject: family.subject.clone(),
            scope: family.scope.clone(),
            expires_at,
        }
    }

    pub(crate) fn of_client(client_id: &str, scope: &str, expires_at: Timestamp) -> Self {
        Self {
            family: None,
            client_id: client_id.to_owned(),
            subject: client_id.to_owned(),
            scope: scope.to_owned(),
            expires_at,
        }
    }
}

/// RFC 7636, S256 only. A verifier without a challenge is refused too: it means that somebody
/// removed the challenge from the authorization request.
fn check_pkce(challenge: Option<&str>, verifier: Option<&str>) -> Result<(), &'static str> {
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (None, Some(_)) => {
            Err("code_verifier was sent, but the authorization request had no code_challenge")
        }
        (Some(_), None) => Err("code_verifier is missing"),
        (Some(challenge), Some(verifier)) => {
            let legal = (43..=128).contains(&verifier.len());
            let matches = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes())) == challenge;
            if legal && matches {
                Ok(())
            } else {
                Err("code_verifier does not match code_challenge")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636, appendix B.
    #[test]
    fn pkce_follows_the_rfc_example() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(check_pkce(Some(challenge), Some(verifier)).is_ok());
        assert!(check_pkce(Some(challenge), Some(&verifier.replace('d', "e"))).is_err());
        assert!(check_pkce(Some(challenge), None).is_err());
        assert!(check_pkce(None, Some(verifier)).is_err());
        assert!(check_pkce(None, None).is_ok());
    }
}
