//! REST to gRPC and back, over the descriptors.
//!
//! # Requests
//! - The path is matched by [`router`]; values in it are percent-decoded and win over everything else.
//! - A body rule `*` reads the JSON body as the whole message and no query parameters; a field reads
//!   it as that field; no rule leaves the body unread. An empty body means an empty message for `*`
//!   and an unset field otherwise. The content type is not looked at.
//! - Query parameters fill the other fields; unknown ones are ignored (see [`query`]).
//! - The method is told which fields the body names, in the request's extensions: `false` and `[]`
//!   get lost in the message ([`ExplicitFields`]).
//! - A `PATCH` whose request has an `update_mask` that is not given gets the fields of its body.
//! - Bodies are limited in size (413) and depth; what does not fit is answered with 400, the field's
//!   name and what it must be.
//!
//! # Responses
//! See [`output`] for the JSON. Success is 200, or 201 where the published reference says so. Errors
//! are `{"code", "message", "details"}` with one `ErrorInfo`. An unknown path is 404, a known path
//! with another verb 405 with `allow`. Metadata of the method becomes `grpc-metadata-*` headers.

mod input;
mod json;
pub(crate) mod output;
mod query;
pub mod router;
pub mod template;

use crate::{
    answer,
    contract::{Binding, BodyRule, ContractError, Method},
    failure::{self, Failure},
    grpc, limits,
    pipeline::{Pipeline, Reply, internal},
    request_id::{REQUEST_ID, RequestId},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method as Verb, Request, Response, StatusCode, header,
};
use input::{Misfit, Place};
use keystead_proto::ExplicitFields;
use keystead_types::ErrorCode;
use prost::Message;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, Value};
use router::{Found, Route, Router};
use serde_json::Value as Json;
use std::{error::Error as StdError, sync::Arc};
use tonic::{Status, body::Body};

/// Answers REST requests through the pipeline.
#[derive(Clone, Debug)]
pub struct Transcoder {
    pipeline: Pipeline,
    router: Arc<Router>,
}

impl Transcoder {
    /// Reads the HTTP bindings of the contract.
    ///
    /// # Errors
    /// [`ContractError`] when two of them cannot be told apart.
    pub fn new(pipeline: Pipeline) -> Result<Self, ContractError> {
        let router = Arc::new(Router::new(pipeline.contract())?);
        Ok(Self { pipeline, router })
    }

    /// Whether the contract has the path, with whatever verb.
    pub fn knows(&self, path: &str) -> bool {
        !matches!(self.router.find(&Verb::OPTIONS, path), Found::Nothing)
    }

    /// Answers one request.
    pub async fn serve<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let (mut head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let (route, values) = match self.router.find(&head.method, &path) {
            Found::Route(route, values) => (
                route.clone(),
                values.into_iter().map(str::to_owned).collect(),
            ),
            Found::OtherVerbs(verbs) => return self.wrong_verb(&head.headers, &verbs),
            Found::Nothing => {
                let id = self.pipeline.request_id(&head.headers);
                let failure = Failure::because(ErrorCode::NotFound, "the API has no such path");
                return error(&failure.into_status(&id.0), &id);
            }
        };
        let method = route.method.clone();
        let query = head.uri.query().unwrap_or_default().to_owned();
        let explicit = ExplicitFields::default();
        head.extensions.insert(explicit.clone());
        let message = build(
            route,
            values,
            query,
            body,
            self.pipeline.max_message_bytes(),
            explicit,
        );
        respond(&method, self.pipeline.answer(&method, head, message).await)
    }

    fn wrong_verb(&self, headers: &HeaderMap, verbs: &[Verb]) -> Response<Body> {
        let id = self.pipeline.request_id(headers);
        let allowed = verbs
            .iter()
            .map(Verb::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        let text = format!("the path takes {allowed}");
        let mut response = error(
            &Failure::because(ErrorCode::Unimplemented, text).into_status(&id.0),
            &id,
        );
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        if let Ok(value) = HeaderValue::from_str(&allowed) {
            response.headers_mut().insert(header::ALLOW, value);
        }
        response
    }
}

/// Reads the body and makes the encoded request message.
async fn build<B>(
    route: Route,
    values: Vec<String>,
    query: String,
    body: B,
    limit: usize,
    explicit: ExplicitFields,
) -> Result<Bytes, Failure>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let binding = route
        .method
        .bindings
        .get(route.binding)
        .ok_or_else(|| internal("a route without a binding"))?;
    let json = match binding.body {
        BodyRule::None => None,
        BodyRule::Whole | BodyRule::Field(_) => parse(&grpc::read(body, limit).await?)?,
    };
    let input = route.method.descriptor.input();
    let message = fill(&input, binding, &values, &query, json.as_ref());
    let message =
        message.map_err(|misfit| Failure::field(&misfit.field, misfit.problem, "type"))?;
    if let Some(json) = &json {
        explicit.fill(named(&input, &binding.body, json));
    }
    Ok(message.encode_to_vec().into())
}

fn parse(body: &[u8]) -> Result<Option<Json>, Failure> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let wrong = |error| {
        Failure::because(
            ErrorCode::InvalidArgument,
            format!("the body is not valid JSON: {error}"),
        )
    };
    json::parse(body)
        .map_err(wrong)
        .map(|json| Some(json).filter(|json| !json.is_null()))
}

fn fill(
    input: &MessageDescriptor,
    binding: &Binding,
    values: &[String],
    query: &str,
    json: Option<&Json>,
) -> Result<DynamicMessage, Misfit> {
    let mut message = match (&binding.body, json) {
        (BodyRule::Whole, Some(json)) => input::message(input, json, Place::Root)?,
        _ => DynamicMessage::new(input.clone()),
    };
    if let (BodyRule::Field(field), Some(json)) = (&binding.body, json)
        && let Some(value) = input::field(field, json, Place::Field(&Place::Root, field.name()))?
    {
        message.set_field(field, value);
    }
    for (fields, text) in binding.template.variables().zip(values) {
        let path = || {
            fields
                .iter()
                .map(prost_reflect::FieldDescriptor::name)
                .collect::<Vec<_>>()
                .join(".")
        };
        let text =
            template::decode(text).ok_or_else(|| Misfit::new(&path(), "is not valid UTF-8"))?;
        query::set_variable(&mut message, fields, &text)?;
    }
    if !matches!(binding.body, BodyRule::Whole) {
        let taken = |fields: &[prost_reflect::FieldDescriptor]| {
            let is_body =
                matches!(&binding.body, BodyRule::Field(body) if fields.first() == Some(body));
            is_body
                || binding
                    .template
                    .variables()
                    .any(|variable| variable == fields)
        };
        for (name, text) in query::split(query)? {
            query::set_parameter(&mut message, &name, &text, &taken)?;
        }
    }
    if let (BodyRule::Field(body), Some(json), &Verb::PATCH) = (&binding.body, json, &binding.verb)
    {
        mask_from_body(&mut message, input, body, json);
    }
    Ok(message)
}

/// Fills an `update_mask` that was not given with the fields that the body holds.
fn mask_from_body(
    message: &mut DynamicMessage,
    input: &MessageDescriptor,
    body: &prost_reflect::FieldDescriptor,
    json: &Json,
) {
    let Some(field) = input
        .get_field_by_name("update_mask")
        .filter(|field| !message.has_field(field))
    else {
        return;
    };
    let (Kind::Message(mask), Kind::Message(target)) = (field.kind(), body.kind()) else {
        return;
    };
    if mask.full_name() == "google.protobuf.FieldMask" {
        let mut paths = Vec::new();
        // `null` clears: it is in the mask and not in the message.
        collect_paths(&target, json, "", |_| true, &mut paths);
        message.set_field(
            &field,
            Value::Message(input::mask(&mask, paths.into_iter())),
        );
    }
}

/// Paths of the fields that a body names, from the request message on. `null` names nothing.
fn named(input: &MessageDescriptor, rule: &BodyRule, json: &Json) -> Vec<String> {
    let given = |value: &Json| !value.is_null();
    let mut paths = Vec::new();
    match rule {
        BodyRule::None => {}
        BodyRule::Whole => collect_paths(input, json, "", given, &mut paths),
        BodyRule::Field(body) => {
            if let Kind::Message(target) = body.kind() {
                collect_paths(&target, json, body.name(), given, &mut paths);
            }
        }
    }
    paths
}

fn collect_paths(
    descriptor: &MessageDescriptor,
    json: &Json,
    parent: &str,
    counts: fn(&Json) -> bool,
    paths: &mut Vec<String>,
) {
    for (key, value) in json
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| counts(value))
    {
        let Some(field) = input::find(descriptor, key) else {
            continue;
        };
        let path = if parent.is_empty() {
            field.name().to_owned()
        } else {
            format!("{parent}.{}", field.name())
        };
        match field.kind() {
            Kind::Message(inner)
                if !field.is_list()
                    && !field.is_map()
                    && !inner.full_name().starts_with("google.protobuf.")
                    && value.as_object().is_some_and(|object| !object.is_empty()) =>
            {
                collect_paths(&inner, value, &path, counts, paths);
            }
            _ => paths.push(path),
        }
    }
}

fn respond(method: &Method, reply: Reply) -> Response<Body> {
    let message = match reply.result {
        Ok(message) => message,
        Err(status) => return error(&status, &reply.request_id),
    };
    let json = DynamicMessage::decode(method.descriptor.output(), message)
        .ok()
        .as_ref()
        .and_then(output::to_json);
    let Some(json) = json else {
        let failure = internal(format!(
            "the response of {} cannot be written as JSON",
            method.label()
        ));
        return error(&failure.into_status(&reply.request_id.0), &reply.request_id);
    };
    let mut response = answered(method.success(), json.to_string().into(), &reply.request_id);
    copy_metadata(&reply.metadata, response.headers_mut());
    response
}

fn error(status: &Status, id: &RequestId) -> Response<Body> {
    let (http, body) = failure::to_http(status);
    let mut response = answered(http, body, id);
    copy_metadata(
        &status.metadata().clone().into_headers(),
        response.headers_mut(),
    );
    if http == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn answered(status: StatusCode, body: Bytes, id: &RequestId) -> Response<Body> {
    let mut response = answer::json(status, body);
    for (name, value) in [
        (header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
        (header::VARY, "Origin"),
    ] {
        answer::set(&mut response, name, value);
    }
    answer::name(&mut response, id);
    response
}

/// Metadata that HTTP has its own header for keeps its name; the rest is prefixed.
fn copy_metadata(metadata: &HeaderMap, headers: &mut HeaderMap) {
    const PLAIN: &[HeaderName] = &[header::SET_COOKIE, header::RETRY_AFTER, header::LOCATION];
    for (name, value) in metadata {
        if PLAIN.contains(name) || limits::is_field(name) {
            headers.append(name, value.clone());
        } else if !name.as_str().starts_with("grpc-")
            && !name.as_str().ends_with("-bin")
            && name != REQUEST_ID
            && let Ok(prefixed) = HeaderName::try_from(format!("grpc-metadata-{name}"))
        {
            headers.append(prefixed, value.clone());
        }
    }
}

#[cfg(test)]
mod tests;
