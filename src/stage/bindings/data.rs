//! What templates see of a subject. Of a tenant's Pipeline, which is by far most of it, no more
//! than a hash is needed while nothing is rendered: where an earlier run has read the same text
//! and found nothing to say, it is read when somebody looks.

use super::pipeline::Pipeline;
use crate::error::Violations;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

/// Texts in which an earlier run found nothing to say, by their hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked(HashSet<[u8; 32]>);

impl Checked {
    /// Returns true if nothing is wrong with the text of this hash.
    pub fn has(&self, digest: &[u8; 32]) -> bool {
        self.0.contains(digest)
    }

    /// Returns the hashes, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.0.iter()
    }
}

impl FromIterator<[u8; 32]> for Checked {
    fn from_iter<I: IntoIterator<Item = [u8; 32]>>(digests: I) -> Self {
        Self(digests.into_iter().collect())
    }
}

/// Where a tenant's data has its Pipeline.
const PIPELINE: &str = "pipeline";

/// The data of one subject.
#[derive(Clone, Debug)]
pub struct SubjectData {
    digest: blake3::Hash,
    checked: Option<[u8; 32]>,
    /// What it is made of, where that waits.
    late: Option<(Value, Pipeline)>,
    whole: OnceLock<Result<Arc<Value>, Violations>>,
}

impl SubjectData {
    /// Returns data that is all there.
    pub fn new(value: Value) -> Self {
        Self { digest: digest(&value, None), checked: None, late: None, whole: whole(Ok(value)) }
    }

    /// Returns a tenant's data; its Pipeline stands under `pipeline`.
    pub fn of_tenant(own: Value, pipeline: Option<Pipeline>) -> Self {
        let Some(mut pipeline) = pipeline else { return Self::new(own) };
        let (digest, checked) = (digest(&own, Some(&pipeline)), pipeline.checked());
        match pipeline.take() {
            Some(read) => Self { digest, checked, late: None, whole: whole(Ok(with_pipeline(own, read))) },
            None => Self { digest, checked, late: Some((own, pipeline)), whole: OnceLock::new() },
        }
    }

    /// Returns the data.
    ///
    /// # Errors
    /// A text that gives faults, although it was known to be without.
    pub fn value(&self) -> Result<&Arc<Value>, &Violations> {
        let made = self.whole.get_or_init(|| match &self.late {
            Some((own, pipeline)) => Ok(Arc::new(with_pipeline(own.clone(), pipeline.read_now()?))),
            None => Ok(Arc::default()),
        });
        made.as_ref()
    }

    /// Returns one entry; null where there is none. Nothing is read for it but for the Pipeline.
    pub fn entry(&self, key: &str) -> &Value {
        match &self.late {
            Some((own, _)) if key != PIPELINE => &own[key],
            _ => self.value().map_or(&Value::Null, |value| &value[key]),
        }
    }

    /// Returns the hash of what the data is made of: the same hash, the same data.
    pub fn digest(&self) -> &blake3::Hash {
        &self.digest
    }

    /// Returns the hash of its Pipeline's text, if nothing was found in that.
    pub fn checked(&self) -> Option<[u8; 32]> {
        self.checked
    }
}

fn whole(value: Result<Value, Violations>) -> OnceLock<Result<Arc<Value>, Violations>> {
    OnceLock::from(value.map(Arc::new))
}

fn with_pipeline(mut own: Value, pipeline: Value) -> Value {
    own[PIPELINE] = pipeline;
    own
}

/// Returns the hash of data; of a Pipeline its text counts, whether it was read or not.
fn digest(own: &Value, pipeline: Option<&Pipeline>) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(own.to_string().as_bytes());
    if let Some(pipeline) = pipeline {
        hasher.update(b"\0").update(pipeline.digest());
    }
    hasher.finalize()
}
