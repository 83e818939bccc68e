//! [`Problem`]: what a caller is told when a request is not done, as RFC 9457 has it, with our codes.

use hyper::StatusCode;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Map, Value, json};

use super::body::{Body, Reply};
use crate::failure::{Code, Failure, chain};
use crate::model::report::ErrorReport;

/// How a problem document is called on the wire.
const CONTENT: &str = "application/problem+json";

/// Why a request is not done.
#[derive(Debug)]
pub(in crate::daemon) struct Problem {
    code: Code,
    status: StatusCode,
    detail: String,
    hint: Option<String>,
    retry_after: Option<u64>,
    allow: Option<String>,
    more: Map<String, Value>,
}

impl Problem {
    pub(in crate::daemon) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            status: status_of(code),
            detail: detail.into(),
            hint: None,
            retry_after: None,
            allow: None,
            more: Map::new(),
        }
    }

    pub(in crate::daemon) fn of(failure: &dyn Failure) -> Self {
        Self { hint: failure.hint(), ..Self::new(failure.code(), chain(failure)) }
    }

    pub(in crate::daemon) fn with_hint(self, hint: &str) -> Self {
        Self { hint: Some(hint.to_owned()), ..self }
    }

    pub(in crate::daemon) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Says after how many seconds it is worth asking again.
    pub(in crate::daemon) fn with_retry(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    pub(in crate::daemon) fn with_allow(self, allow: String) -> Self {
        Self { allow: Some(allow), ..self }
    }

    /// Says so where nothing is wrong with the request, and it only came at a bad time.
    pub(in crate::daemon) fn with_retry_where_it_helps(self) -> Self {
        let temporary = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY].contains(&self.status);
        if temporary { self.with_retry(crate::daemon::jobs::RETRY_SECONDS) } else { self }
    }

    /// The same as a report has it.
    pub(in crate::daemon) fn report(&self) -> ErrorReport {
        ErrorReport {
            code: self.code.to_string(),
            message: self.detail.clone(),
            hint: self.hint.clone(),
            label: None,
            commands: Vec::new(),
        }
    }

    /// Adds a member.
    pub(in crate::daemon) fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    pub(in crate::daemon) fn unauthenticated(self) -> Self {
        self.with_status(StatusCode::UNAUTHORIZED)
    }

    pub(in crate::daemon) fn forbidden(self) -> Self {
        self.with_status(StatusCode::FORBIDDEN)
    }

    pub(in crate::daemon) fn code(&self) -> Code {
        self.code
    }

    pub(in crate::daemon) fn detail(&self) -> &str {
        &self.detail
    }

    #[cfg(test)]
    pub(in crate::daemon) fn status(&self) -> StatusCode {
        self.status
    }

    pub(in crate::daemon) fn reply(self) -> Reply {
        let mut document = json!({
            "type": format!("/errors/{}", self.code),
            "title": self.code.title(),
            "status": self.status.as_u16(),
            "code": self.code.as_str(),
            "detail": self.detail,
        });
        let members = document.as_object_mut().expect("it was made as an object");
        members.extend(self.hint.map(|hint| ("hint".to_owned(), hint.into())));
        members.extend(self.more);
        let mut reply = Reply::new(Body::whole(document.to_string()));
        *reply.status_mut() = self.status;
        let headers = reply.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Some(allow) = self.allow.and_then(|allow| HeaderValue::from_str(&allow).ok()) {
            headers.insert(ALLOW, allow);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        reply
    }
}

/// The status of a failure, from the caller's side: whose fault it is, and whether asking again can help.
fn status_of(code: Code) -> StatusCode {
    match code {
        Code::RequestWrong
        | Code::Usage
        | Code::TargetInvalid
        | Code::SettingUnknown
        | Code::JobFileWrong
        | Code::ConfigWrong
        | Code::MemoryTooSmall => StatusCode::BAD_REQUEST,
        Code::NotAllowed => StatusCode::UNAUTHORIZED,
        Code::PathOutside => StatusCode::FORBIDDEN,
        Code::JobUnknown | Code::NothingThere | Code::TargetUnnamed => StatusCode::NOT_FOUND,
        Code::KeyInUse | Code::NotResumable | Code::Contested => StatusCode::CONFLICT,
        Code::TooMuch => StatusCode::TOO_MANY_REQUESTS,
        Code::Stopping | Code::Interrupted | Code::TargetBusy | Code::NodeDown => StatusCode::SERVICE_UNAVAILABLE,
        // The rows, or what they come in, cannot be loaded as they are.
        Code::InputMissing
        | Code::InputUnreadable
        | Code::InputEmpty
        | Code::FormatUnknown
        | Code::InputTruncated
        | Code::InputMalformed
        | Code::SchemaUnclear
        | Code::ColumnsMismatch
        | Code::RecordTooLong
        | Code::RejectLimit
        | Code::RowsRefused
        | Code::TypeUnsupported
        | Code::NoSuchTable
        | Code::TooManyLoads => StatusCode::UNPROCESSABLE_ENTITY,
        Code::TargetUnreachable | Code::AccessDenied | Code::AnswerUnreadable | Code::QueryFailed => {
            StatusCode::BAD_GATEWAY
        }
        Code::DeadlinePassed => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
