use super::{region, region_code, time};
use keystead_identity::environments::{
    AuthenticationMode, CreateEnvironment, Environment, EnvironmentKind,
};
use keystead_proto::v1::{commons, environments as pb};

/// What a create request asks for. Plans and add-ons are accepted and ignored: there is no billing.
pub(crate) fn create(message: pb::CreateEnvironment) -> CreateEnvironment {
    CreateEnvironment {
        display_name: message.display_name,
        kind: match message.r#type.map(commons::EnvironmentType::try_from) {
            Some(Ok(commons::EnvironmentType::Prd)) => EnvironmentKind::Production,
            _ => EnvironmentKind::Development,
        },
        region: message.region_code.and_then(region),
        authentication_mode: match message
            .authentication_mode
            .map(commons::AuthenticationMode::try_from)
        {
            Some(Ok(commons::AuthenticationMode::ModularAuth)) => AuthenticationMode::Modular,
            _ => AuthenticationMode::FullStack,
        },
    }
}

/// An environment on the wire.
pub(crate) fn environment(environment: Environment) -> pb::Environment {
    pb::Environment {
        id: environment.id.to_string(),
        create_time: time(environment.created_at),
        update_time: time(environment.updated_at),
        display_name: environment.display_name,
        domain: environment.domain,
        region_code: region_code(environment.region),
        r#type: match environment.kind {
            EnvironmentKind::Production => commons::EnvironmentType::Prd,
            EnvironmentKind::Development => commons::EnvironmentType::Dev,
        } as i32,
        custom_domain: None,
        custom_domain_status: 0,
    }
}
