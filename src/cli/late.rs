//! Arguments that are described when somebody asks for them.

use clap::{Args, FromArgMatches};
use std::ops::Deref;

/// The arguments of a subcommand, which are described when it is the one that was asked for:
/// to describe those of all takes longer than a small build.
#[derive(Clone, Debug)]
pub struct Late<T>(T);

impl<T> Deref for Late<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: FromArgMatches> FromArgMatches for Late<T> {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<T: Args> Args for Late<T> {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.defer(|command| {
            // What the list of commands says of it stands, not the line above the arguments.
            let about = command.get_about().cloned().unwrap_or_default();
            let long_about = command.get_long_about().cloned();
            let command = T::augment_args(command).about(about);
            match long_about {
                Some(long_about) => command.long_about(long_about),
                None => command.long_about(None),
            }
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        command.defer(T::augment_args_for_update)
    }
}
