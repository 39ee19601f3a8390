//! Unwraps packets of Nym's formats. For each line "n" on stdin it makes n packets of either
//! format, times their first mix, follows each of them to its end, compares the message, and
//! writes `{"name": microseconds of processor time for one, ...}` on one line.

use std::hint::black_box;
use std::io::{self, BufRead, Write};
use std::time::Duration;

use cpu_time::ThreadTime;
use nym_outfox::packet::OutfoxPacket;
use outfox_sphinx::{crypto as old_crypto, route as old_route};
use sphinx_packet::header::delays;
use sphinx_packet::packet::builder::SphinxPacketBuilder;
use sphinx_packet::packet::ProcessedPacketData;
use sphinx_packet::route::{Destination, DestinationAddressBytes, Node, NodeAddressBytes};
use sphinx_packet::SphinxPacket;
use x25519_dalek::{PublicKey, StaticSecret};

const PAYLOAD_BYTES: usize = 2064;
const MESSAGE_BYTES: usize = 2000;

fn message(number: usize) -> Vec<u8> {
    (0..MESSAGE_BYTES).map(|place| (number * 7 + place * 13) as u8 | 1).collect()
}

fn micros(elapsed: Duration, count: usize) -> f64 {
    elapsed.as_secs_f64() * 1e6 / count as f64
}

fn sphinx(count: usize) -> f64 {
    let secrets: Vec<StaticSecret> = (0..3).map(|_| StaticSecret::random()).collect();
    let route: Vec<Node> = secrets
        .iter()
        .enumerate()
        .map(|(place, secret)| {
            let address = NodeAddressBytes::from_bytes([place as u8 + 1; 32]);
            Node::new(address, PublicKey::from(secret))
        })
        .collect();
    let destination = Destination::new(DestinationAddressBytes::from_bytes([9; 32]), [4; 16]);
    let waits = delays::generate_from_average_duration(3, Duration::from_millis(30));
    let packets: Vec<Vec<u8>> = (0..count)
        .map(|number| {
            SphinxPacketBuilder::new()
                .with_payload_size(PAYLOAD_BYTES)
                .build_packet(message(number), &route, &destination, &waits)
                .expect("a packet")
                .to_bytes()
        })
        .collect();
    let start = ThreadTime::now();
    let opened: Vec<_> = packets
        .iter()
        .map(|bytes| {
            let packet = SphinxPacket::from_bytes(black_box(bytes)).expect("a packet");
            packet.process(&secrets[0]).expect("ours")
        })
        .collect();
    let elapsed = start.elapsed();
    for (number, first) in opened.into_iter().enumerate() {
        let mut data = first.data;
        for (place, secret) in secrets.iter().enumerate().skip(1) {
            let ProcessedPacketData::ForwardHop { next_hop_packet, next_hop_address, .. } = data
            else {
                panic!("ended early");
            };
            assert_eq!(next_hop_address.as_bytes(), &[place as u8 + 1; 32]);
            data = next_hop_packet.process(secret).expect("ours").data;
        }
        let ProcessedPacketData::FinalHop { payload, .. } = data else {
            panic!("no end");
        };
        assert_eq!(payload.recover_plaintext().expect("a message"), message(number));
    }
    micros(elapsed, count)
}

fn outfox(count: usize) -> f64 {
    let secrets: Vec<old_crypto::PrivateKey> =
        (0..4).map(|_| old_crypto::PrivateKey::random()).collect();
    let node = |place: usize| {
        let address = old_route::NodeAddressBytes::from_bytes([place as u8 + 1; 32]);
        old_route::Node::new(address, old_crypto::PublicKey::from(&secrets[place]))
    };
    let route = [node(0), node(1), node(2), node(3)];
    let address = old_route::DestinationAddressBytes::from_bytes([9; 32]);
    let destination = old_route::Destination::new(address, [4; 16]);
    let packets: Vec<Vec<u8>> = (0..count)
        .map(|number| {
            OutfoxPacket::build(message(number), &route, &destination, Some(PAYLOAD_BYTES))
                .expect("a packet")
                .to_bytes()
                .expect("bytes")
        })
        .collect();
    let start = ThreadTime::now();
    let opened: Vec<_> = packets
        .iter()
        .map(|bytes| {
            let mut packet = OutfoxPacket::try_from(black_box(bytes.as_slice())).expect("a packet");
            let next = packet.decode_next_layer(&secrets[0]).expect("ours");
            (packet, next)
        })
        .collect();
    let elapsed = start.elapsed();
    for (number, (mut packet, first)) in opened.into_iter().enumerate() {
        assert_eq!(first, [2; 32]);
        for (place, secret) in secrets.iter().enumerate().skip(1) {
            let next = packet.decode_next_layer(secret).expect("ours");
            assert_eq!(next, if place < 3 { [place as u8 + 2; 32] } else { [9; 32] });
        }
        assert_eq!(packet.recover_plaintext().expect("a message"), message(number));
    }
    micros(elapsed, count)
}

fn exchange(count: usize) -> f64 {
    let secret = StaticSecret::random();
    let peers: Vec<PublicKey> =
        (0..count).map(|_| PublicKey::from(&StaticSecret::random())).collect();
    let start = ThreadTime::now();
    for peer in &peers {
        black_box(secret.diffie_hellman(black_box(peer)));
    }
    micros(start.elapsed(), count)
}

fn main() {
    for line in io::stdin().lock().lines() {
        let count: usize = line.expect("a line").trim().parse().expect("a number");
        println!(
            "{{\"sphinx-packet\": {}, \"nym-outfox\": {}, \"x25519-dalek\": {}}}",
            sphinx(count),
            outfox(count),
            exchange(count)
        );
        io::stdout().flush().expect("a reader");
    }
}
