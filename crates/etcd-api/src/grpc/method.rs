//! The methods that are served, by name. What etcd has beyond them answers UNIMPLEMENTED.

macro_rules! methods {
    ($($method:ident = $kind:literal $service:literal $name:literal,)*) => {
        /// A method that is served.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Method { $($method,)* }

        impl Method {
            /// All of them, in the order of their numbers.
            pub(crate) const ALL: &[Self] = &[$(Self::$method,)*];

            /// The method of a request path.
            pub(crate) fn find(path: &str) -> Option<Self> {
                match path {
                    $(concat!("/", $service, "/", $name) => Some(Self::$method),)*
                    _ => None,
                }
            }

            /// `unary`, `server_stream` or `bidi_stream`.
            pub(crate) fn kind(self) -> &'static str {
                match self { $(Self::$method => $kind,)* }
            }

            /// The service's full name.
            pub(crate) fn service(self) -> &'static str {
                match self { $(Self::$method => $service,)* }
            }

            /// The method's own name.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$method => $name,)* }
            }
        }
    };
}

impl Method {
    /// Whether the messages of its calls pass through our hands: those of the streams that tonic
    /// serves do not.
    pub(crate) fn messages_are_seen(self) -> bool {
        !matches!(self, Self::Reflection | Self::ReflectionAlpha)
    }
}

methods! {
    Range = "unary" "etcdserverpb.KV" "Range",
    RangeStream = "server_stream" "etcdserverpb.KV" "RangeStream",
    Put = "unary" "etcdserverpb.KV" "Put",
    Txn = "unary" "etcdserverpb.KV" "Txn",
    DeleteRange = "unary" "etcdserverpb.KV" "DeleteRange",
    Compact = "unary" "etcdserverpb.KV" "Compact",
    Watch = "bidi_stream" "etcdserverpb.Watch" "Watch",
    LeaseGrant = "unary" "etcdserverpb.Lease" "LeaseGrant",
    LeaseRevoke = "unary" "etcdserverpb.Lease" "LeaseRevoke",
    LeaseKeepAlive = "bidi_stream" "etcdserverpb.Lease" "LeaseKeepAlive",
    LeaseTimeToLive = "unary" "etcdserverpb.Lease" "LeaseTimeToLive",
    LeaseLeases = "unary" "etcdserverpb.Lease" "LeaseLeases",
    MemberList = "unary" "etcdserverpb.Cluster" "MemberList",
    Alarm = "unary" "etcdserverpb.Maintenance" "Alarm",
    Status = "unary" "etcdserverpb.Maintenance" "Status",
    Defragment = "unary" "etcdserverpb.Maintenance" "Defragment",
    Hash = "unary" "etcdserverpb.Maintenance" "Hash",
    HashKv = "unary" "etcdserverpb.Maintenance" "HashKV",
    HealthCheck = "unary" "grpc.health.v1.Health" "Check",
    HealthList = "unary" "grpc.health.v1.Health" "List",
    HealthWatch = "server_stream" "grpc.health.v1.Health" "Watch",
    Reflection = "bidi_stream" "grpc.reflection.v1.ServerReflection" "ServerReflectionInfo",
    ReflectionAlpha =
        "bidi_stream" "grpc.reflection.v1alpha.ServerReflection" "ServerReflectionInfo",
}
