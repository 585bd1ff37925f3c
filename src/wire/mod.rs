//! Pure formats: bytes in, values out, and back. No state, no clock, no heap.

pub mod amf0;
pub mod amf3;
pub mod announced;
pub mod bytes;
pub mod chunk;
pub mod codec;
pub mod flv;
pub mod flv_file;
pub mod flv_front;
pub mod handshake;
pub mod http;
pub mod http_answer;
pub mod keyed;
pub mod legacy;
pub mod message;
pub mod mp3_file;
pub mod mp4;
pub mod plain;
pub mod qr;
pub mod recorded;
pub mod rtmp_url;
pub mod sample;
pub mod script_link;
pub mod websocket;
pub mod windows;
pub mod x509;
