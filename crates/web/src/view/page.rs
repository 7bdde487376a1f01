use super::{Action, Block, Form, Icon, Monogram, Tone};
use crate::assets;
use askama::Template;

/// The frame of a dashboard page.
#[derive(Clone, Debug, Default)]
pub struct Shell {
    /// Path of the environment's pages, such as `/dashboard/env_1`; empty outside of any.
    pub base: String,
    /// Name of the environment in use.
    pub environment: String,
    /// The environment in use serves real users.
    pub production: bool,
    /// All environments of the workspace.
    pub environments: Vec<EnvironmentChoice>,
    /// Who is signed in.
    pub member: String,
    /// Name of the workspace.
    pub workspace: String,
    /// Anti-forgery token of the member's session.
    pub csrf: String,
    /// Section of the navigation that is open.
    pub section: &'static str,
}

/// One environment to switch to.
#[derive(Clone, Debug)]
pub struct EnvironmentChoice {
    /// Where it leads.
    pub href: String,
    /// Name.
    pub name: String,
    /// Serves real users.
    pub production: bool,
    /// In use.
    pub current: bool,
}

/// A dashboard page.
#[derive(Template, Clone, Debug, Default)]
#[template(path = "dashboard/page.html")]
pub struct Page {
    /// The frame.
    pub shell: Shell,
    /// Title.
    pub title: String,
    /// A sentence under it.
    pub lead: String,
    /// Tile beside the title.
    pub tile: Option<Monogram>,
    /// State beside the title.
    pub badge: Option<(Tone, String)>,
    /// Pages above this one.
    pub crumbs: Vec<Crumb>,
    /// Buttons beside the title.
    pub actions: Vec<Action>,
    /// Contents.
    pub blocks: Vec<Block>,
    /// For reading and filling in rather than for tables.
    pub narrow: bool,
}

/// A page above the present one.
#[derive(Clone, Debug)]
pub struct Crumb {
    /// Where it leads.
    pub href: String,
    /// Title.
    pub title: String,
}

/// Asks before something is destroyed: the answer is a POST.
#[derive(Template, Clone, Debug)]
#[template(path = "dashboard/confirm.html")]
pub struct Confirm {
    /// The frame.
    pub shell: Shell,
    /// The question.
    pub title: String,
    /// What happens, in points.
    pub consequences: Vec<String>,
    /// The answer.
    pub form: Form,
}

/// Sign-in to the dashboard.
#[derive(Template, Clone, Debug)]
#[template(path = "dashboard/sign_in.html")]
pub struct SignInPage {
    /// Title.
    pub title: String,
    /// A sentence under it.
    pub lead: String,
    /// The form.
    pub form: Form,
    /// Where to begin again; empty on the first page.
    pub again: String,
}

/// The hosted page that asks an end user for credentials, account details or permissions.
#[derive(Template, Clone, Debug)]
#[template(path = "hosted/connect.html")]
pub struct ConnectPage {
    /// Name of the application that asks.
    pub application: String,
    /// Name of the service to connect.
    pub provider: String,
    /// A sentence about what is asked.
    pub lead: String,
    /// What happens to what is typed here.
    pub reassurance: String,
    /// The form.
    pub form: Form,
}

/// How a flow ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It worked.
    Success,
    /// It failed.
    Failure,
    /// It was not finished, and can be begun again.
    Stopped,
}

/// A hosted page that tells how a flow ended and what to do.
#[derive(Template, Clone, Debug)]
#[template(path = "hosted/outcome.html")]
pub struct OutcomePage {
    /// How it ended.
    pub outcome: Outcome,
    /// What happened.
    pub title: String,
    /// Why.
    pub text: String,
    /// What to do.
    pub advice: String,
    /// Buttons.
    pub actions: Vec<Action>,
    /// Machine-readable reason; empty for none.
    pub code: String,
    /// Number to quote to support; empty for none.
    pub reference: String,
}

/// A page that sends the browser on to another host.
///
/// A redirect that answers a POST would be stopped by `form-action`, and loosening that for every
/// host would let an injected form send what is typed anywhere.
#[derive(Template, Clone, Debug)]
#[template(path = "hosted/hand_off.html")]
pub struct HandOff {
    /// Where to; `https`, or `http` on this machine.
    pub to: url::Url,
    /// Name of where it leads.
    pub name: String,
}

impl OutcomePage {
    fn tone(&self) -> &'static str {
        match self.outcome {
            Outcome::Success => "good",
            Outcome::Failure => "bad",
            Outcome::Stopped => "warn",
        }
    }

    fn icon(&self) -> Icon {
        match self.outcome {
            Outcome::Success => Icon::Check,
            Outcome::Failure => Icon::Cross,
            Outcome::Stopped => Icon::Clock,
        }
    }
}

impl ConnectPage {
    fn tiles(&self) -> (Monogram, Monogram) {
        (
            Monogram::of(&self.application),
            Monogram::of(&self.provider),
        )
    }
}

/// A place in the navigation.
struct Place {
    section: &'static str,
    path: &'static str,
    icon: Icon,
    name: &'static str,
}

const AGENTKIT: &[Place] = &[
    Place {
        section: "connectors",
        path: "/connectors",
        icon: Icon::Grid,
        name: "Connectors",
    },
    Place {
        section: "connections",
        path: "/connections",
        icon: Icon::Plug,
        name: "Connections",
    },
    Place {
        section: "accounts",
        path: "/accounts",
        icon: Icon::People,
        name: "Connected accounts",
    },
    Place {
        section: "verification",
        path: "/verification",
        icon: Icon::Shield,
        name: "User verification",
    },
    Place {
        section: "launch",
        path: "/launch",
        icon: Icon::Check,
        name: "Launch checklist",
    },
];
const SETTINGS: &[Place] = &[Place {
    section: "credentials",
    path: "/credentials",
    icon: Icon::Key,
    name: "API credentials",
}];

const GROUPS: [(&str, &[Place]); 2] = [("AgentKit", AGENTKIT), ("Developers", SETTINGS)];
