//! How an environment verifies who consented: the AgentKit settings (AK-320, AK-326).

use crate::{
    App,
    request::{Reply, required},
    status::failed,
};
use keystead_agentkit::settings::{Settings, Verification};
use keystead_authz::Caller;
use keystead_identity::environments::{self, EnvironmentKind};
use keystead_proto::v1::environments as pb;
use keystead_types::EnvironmentId;
use tonic::Response;

/// Reads the settings of one of the caller's environments.
pub(crate) async fn get(
    app: &App,
    caller: &Caller,
    id: EnvironmentId,
) -> Reply<pb::GetAgentActionsConfigResponse> {
    environments::get(&app.ctx, caller.workspace(), id)
        .await
        .map_err(failed)?;
    let settings = app.agentkit.settings(id).await.map_err(failed)?;
    Ok(Response::new(pb::GetAgentActionsConfigResponse {
        agent_actions_config: Some(config(&settings)),
    }))
}

/// Changes the settings that are sent of one of the caller's environments.
pub(crate) async fn update(
    app: &App,
    caller: &Caller,
    id: EnvironmentId,
    sent: Option<pb::AgentActionsConfig>,
) -> Result<pb::AgentActionsConfig, tonic::Status> {
    let sent = required(sent, "agent_actions_config")?;
    let environment = environments::get(&app.ctx, caller.workspace(), id)
        .await
        .map_err(failed)?;
    let production = environment.kind == EnvironmentKind::Production;
    let change = |settings: &mut Settings| {
        if let Some(mode) = mode(sent.user_verify_mode()) {
            settings.verification = mode;
        }
        if let Some(detailed) = sent.detailed_error_logging {
            settings.detailed_error_logging = detailed;
        }
    };
    let updated = app
        .agentkit
        .update_settings(id, &caller.actor(), production, change)
        .await;
    Ok(config(&updated.map_err(failed)?))
}

fn mode(mode: pb::ConnectedAccountUserVerifyMode) -> Option<Verification> {
    use pb::ConnectedAccountUserVerifyMode as Wire;
    match mode {
        Wire::Unspecified => None,
        Wire::UserVerifyModeNone => Some(Verification::None),
        Wire::UserVerifyModeB2b => Some(Verification::Custom),
        Wire::UserVerifyModeScalekitPlatform => Some(Verification::PlatformUsers),
    }
}

fn config(settings: &Settings) -> pb::AgentActionsConfig {
    use pb::ConnectedAccountUserVerifyMode as Wire;
    let mode = match settings.verification {
        Verification::None => Wire::UserVerifyModeNone,
        Verification::Custom => Wire::UserVerifyModeB2b,
        Verification::PlatformUsers => Wire::UserVerifyModeScalekitPlatform,
    };
    pb::AgentActionsConfig {
        user_verify_mode: mode.into(),
        detailed_error_logging: Some(settings.detailed_error_logging),
    }
}
