//! Everything that threads share holds in every order that they can take.

use ringseal_models::{MODELS, tell_how_to_replay};

#[test]
fn all_models_hold_in_every_order() {
    tell_how_to_replay();
    for model in MODELS {
        let orders = model.check();
        assert!(orders > 1, "{} has one order only", model.name);
    }
}
