//! Random commands, run against the engine and against a model of it that anyone can check by eye.
//!
//! Every answer is compared, and after each step what can be read: all keys, at random revisions,
//! the leases, what a new watcher gets from the past and what a standing one gets as it happens.

#[path = "../support/effort.rs"]
mod effort;
#[path = "../support/mod.rs"]
mod support;

mod reference;
mod run;
mod steps;

use decube_engine::Storage;
use proptest::prelude::*;
use proptest::test_runner::Config;

use run::{Reopening, disk, run};
use steps::{Step, steps};

fn config(cases: u32) -> Config {
    let cases = cases * u32::try_from(effort::effort()).expect("a small number");
    Config { cases, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(config(600))]
    #[test]
    fn a_memory_store_does_what_the_model_does(steps in steps()) {
        run(&Storage::Memory, &steps, Reopening::Never);
    }
}

proptest! {
    #![proptest_config(config(200))]
    #[test]
    fn a_durable_store_does_what_the_model_does(steps in steps()) {
        run(&disk(), &steps, Reopening::WhenToldTo);
    }
}

proptest! {
    #![proptest_config(config(60))]
    #[test]
    fn a_store_reopened_after_every_step_does_what_the_model_does(steps in steps()) {
        run(&disk(), &steps, Reopening::AfterEveryStep);
    }
}

/// Not random: a step of each kind at least, to see that the harness itself works.
#[test]
fn the_runner_runs_every_kind_of_step() {
    let steps = [Step::Wait(1), Step::Reopen];
    run(&disk(), &steps, Reopening::AfterEveryStep);
}
