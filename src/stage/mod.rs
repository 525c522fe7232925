//! The pure verbs between the nouns.

pub mod sync_plan;
