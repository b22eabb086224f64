//! Compiles etcd's wire contract, and gRPC's own for health: messages, the two streaming services, clients for tests, and the
//! descriptors that reflection hands out.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("../../proto");
    let files = ["etcd/kv.proto", "etcd/auth.proto", "etcd/rpc.proto", "grpc/health.proto"];
    for file in files {
        println!("cargo::rerun-if-changed={}", root.join(file).display());
    }
    let descriptors = protox::compile(files, [root])?;
    let descriptor_file = Path::new(&std::env::var("OUT_DIR")?).join("etcd.fds");
    std::fs::write(descriptor_file, protox::prost::Message::encode_to_vec(&descriptors))?;
    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        .bytes(".")
        // A stored record already is an encoded KeyValue: the type wraps it instead of copying it.
        .extern_path(".mvccpb.KeyValue", "crate::wire::KeyValue")
        .generate_default_stubs(true)
        .build_transport(false)
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}
