//! Data messages of publishers, as players get them.

use rill::limits::HEADER_BYTES;
use rill::wire::amf0::{Decoder, Encoder, Value};
use rill::wire::bytes::Writer;

use super::sim::world::World;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A player that keeps what it is sent byte for byte.
fn watcher(world: &mut World, name: &str) -> usize {
    let player = world.join();
    let client = &mut world.clients[player];
    (client.lenient, client.tape) = (true, Some(Vec::new()));
    client.create_stream();
    client.play(1, name);
    world.settle();
    player
}

/// The data messages it was sent, without what the server itself has to say.
fn data(world: &mut World, player: usize) -> Vec<Vec<u8>> {
    let tape = world.clients[player].tape.as_mut().unwrap();
    let data = tape.drain(..).filter(|(type_id, _, _)| *type_id == 18);
    data.map(|(_, _, body)| body).filter(|body| !body.windows(16).any(|part| part == b"RtmpSampleAccess")).collect()
}

/// What an ActionScript 3 client with object encoding 3 sends, recorded: AMF 3 values in messages of type 15.
#[test]
fn amf3_data_arrives_as_amf0_whoever_was_there() {
    const METADATA: &str = "0002000d40736574446174614672616d6502000a6f6e4d65746144617461110a0b010b7769647468048240\
        0d686569676874048170136672616d65726174650540390000000000000f656e636f646572060b666c61736801";
    const TEXT: &str = "0002000a6f6e5465787444617461110a0b0109746578740609676f616c0d6d696e757465041109686f6d650301";
    const SCORE: &str = "000200076f6e53636f726500400000000000000011060378";
    let mut world = World::new();
    let publisher = world.publisher("cam");
    let early = watcher(&mut world, "cam");
    world.clients[publisher].message(5, 15, 1, 0, &hex(METADATA));
    world.settle();
    let late = watcher(&mut world, "cam");
    world.clients[publisher].message(6, 9, 1, 0, &[0x17, 0, 0, 0, 0]);
    world.clients[publisher].message(6, 9, 1, 0, &[0x17, 1, 0, 0, 0, 0x65]);
    world.clients[publisher].message(5, 15, 1, 40, &hex(TEXT));
    world.clients[publisher].message(5, 15, 1, 40, &hex(SCORE));
    world.settle();
    for player in [early, late] {
        let got = data(&mut world, player);
        let [metadata, text, score] = &got[..] else { panic!("{got:x?}") };
        let mut values = Decoder::new(metadata);
        assert_eq!(values.string(), Ok(b"onMetaData".as_slice()));
        let Ok(Value::EcmaArray(members)) = values.value() else { panic!("{metadata:x?}") };
        assert_eq!(members.get("width"), Some(Value::Number(320.0)));
        assert_eq!(members.get("height"), Some(Value::Number(240.0)));
        assert_eq!(members.get("framerate"), Some(Value::Number(25.0)));
        assert_eq!(members.get("encoder"), Some(Value::String(b"flash")));
        assert_eq!(members.iter().count(), 4);
        let mut values = Decoder::new(text);
        assert_eq!(values.string(), Ok(b"onTextData".as_slice()));
        let Ok(Value::Object(members)) = values.value() else { panic!("{text:x?}") };
        assert_eq!(members.get("text"), Some(Value::String(b"goal")));
        assert_eq!(members.get("minute"), Some(Value::Number(17.0)));
        assert_eq!(members.get("home"), Some(Value::Boolean(true)));
        let mut values = Decoder::new(score);
        assert_eq!(values.string(), Ok(b"onScore".as_slice()));
        assert_eq!((values.value(), values.value()), (Ok(Value::Number(2.0)), Ok(Value::String(b"x"))));
        assert!(values.is_empty());
    }
    assert_eq!(world.server.counters().data_dropped, 0);
}

#[test]
fn metadata_that_is_too_long_arrives_with_what_players_need_whoever_was_there() {
    for description in [HEADER_BYTES, 5000, 60_000] {
        let mut world = World::new();
        let publisher = world.publisher("cam");
        let early = watcher(&mut world, "cam");
        let mut buffer = vec![0; description + 4000];
        let mut out = Writer::new(&mut buffer);
        let mut amf = Encoder::new(&mut out);
        amf.string("@setDataFrame").unwrap();
        amf.string("onMetaData").unwrap();
        amf.ecma_array_begin(0).unwrap();
        amf.property_string("description", &"d".repeat(description)).unwrap();
        for i in 0..100 {
            amf.property_string(&format!("tag{i}"), "a short text").unwrap();
        }
        for name in ["width", "height", "videocodecid", "audiocodecid", "framerate"] {
            amf.property_number(name, 25.0).unwrap();
        }
        amf.object_end().unwrap();
        world.clients[publisher].message(5, 18, 1, 0, out.written());
        world.settle();
        let late = watcher(&mut world, "cam");
        world.clients[publisher].message(6, 9, 1, 0, &[0x17, 1, 0, 0, 0, 0x65]);
        world.settle();
        let got = data(&mut world, early);
        assert_eq!(data(&mut world, late), got);
        let mut values = Decoder::new(&got[0]);
        assert_eq!(values.string(), Ok(b"onMetaData".as_slice()));
        let Ok(Value::EcmaArray(members)) = values.value() else { panic!("{description}") };
        for name in ["width", "height", "videocodecid", "audiocodecid", "framerate", "tag0", "tag99"] {
            assert!(members.get(name).is_some(), "{name} of {:?}", members);
        }
        assert_eq!(members.get("description"), None);
        assert_eq!(members.iter().count(), 105);
        let counters = world.server.counters();
        assert_eq!((counters.data_dropped, counters.headers_not_kept), (0, 0));
    }
}
