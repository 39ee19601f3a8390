"""Programs that unwrap packets of other mixnets, run by `qnet bench mix --peer`."""
