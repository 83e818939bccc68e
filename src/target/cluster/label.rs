//! What a label came to, with what the server says about it.

use hyper::StatusCode;
use serde_json::Value;

use super::Cluster;
use crate::model::Label;
use crate::target::starrocks::no_reply;
use crate::target::url::encode_segment;
use crate::target::{Error, LabelState, reply};

/// A label's state, as the server tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSeen {
    /// The database that the label belongs to.
    pub database: String,
    /// Its state.
    pub state: LabelState,
    /// Why it is in that state, where the server says so.
    pub reason: Option<String>,
}

impl Cluster<'_> {
    /// Asks for the state of a label in the target's database.
    ///
    /// # Errors
    /// When the target names no database or one that there is not, and when no frontend answers.
    pub async fn label(&self, label: &Label) -> Result<LabelSeen, Error> {
        let database = self.database()?;
        let path = format!("/api/{}/get_load_state?label={label}", encode_segment(database));
        let reached = self.target.ask(&path).await?;
        if reached.answer.status == StatusCode::UNAUTHORIZED {
            return Err(no_reply(&reached));
        }
        let body = &reached.answer.body;
        let state = reply::label_state(body, &reached.address.to_string(), database);
        let state = state.unwrap_or_else(|| Err(no_reply(&reached)))?;
        Ok(LabelSeen { database: database.to_owned(), state, reason: reason(body) })
    }
}

/// The reason in an answer; servers before 3.4 give none.
fn reason(body: &[u8]) -> Option<String> {
    let Value::Object(members) = serde_json::from_slice(body).ok()? else { return None };
    let reason = members.iter().find(|(key, _)| key.eq_ignore_ascii_case("reason"))?.1.as_str()?.trim();
    (!reason.is_empty()).then(|| reason.to_owned())
}
