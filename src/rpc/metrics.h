// What the transport counts, named in one place.
#pragma once

#include <memory>

#include "metrics/registry.h"

namespace kvstore::rpc {

// Lifetime  Not beyond the registry.
struct Instruments {
    // Without a registry the numbers are kept for TransportStatistics alone.
    explicit Instruments(metrics::Registry* shown)
        : own(shown == nullptr ? std::make_unique<metrics::Registry>() : nullptr),
          registry(shown == nullptr ? *own : *shown) {}

    std::unique_ptr<metrics::Registry> own;
    metrics::Registry& registry;

    metrics::Counter& messages_dropped = registry.add_counter(
        "kvstore_rpc_messages_dropped_total",
        "Runs of messages to a peer that could not be reached or did not keep up.");
    metrics::Counter& frames_sent =
        registry.add_counter("kvstore_rpc_frames_sent_total", "Frames sent to other nodes.");
    metrics::Counter& frames_received = registry.add_counter(
        "kvstore_rpc_frames_received_total", "Whole frames received from other nodes.");
    metrics::Counter& bytes_sent =
        registry.add_counter("kvstore_rpc_sent_bytes_total", "Bytes sent to other nodes.");
    metrics::Counter& bytes_received = registry.add_counter("kvstore_rpc_received_bytes_total",
                                                            "Bytes received from other nodes.");
    metrics::Counter& frames_damaged = registry.add_counter(
        "kvstore_rpc_damaged_frames_total",
        "Received frames with a wrong checksum or shape; each ended its connection.");
    metrics::Counter& handshakes_refused = registry.add_counter(
        "kvstore_rpc_refused_handshakes_total", "Handshakes refused by this node or by its peer.");
    metrics::Counter& calls_sent =
        registry.add_counter("kvstore_rpc_calls_sent_total", "Calls to other nodes.");
    metrics::Counter& calls_failed = registry.add_counter(
        "kvstore_rpc_calls_failed_total",
        "Calls that ended without an answer of the peer: broken connection or deadline.");
    metrics::Counter& calls_received =
        registry.add_counter("kvstore_rpc_calls_received_total", "Calls from other nodes.");
    metrics::Counter& connects_failed = registry.add_counter(
        "kvstore_rpc_connects_failed_total", "Attempts to connect to a peer that failed.");
    metrics::Gauge& connections =
        registry.add_gauge("kvstore_rpc_connections", "Open connections with other nodes.");
    metrics::Histogram& round_trip = registry.add_histogram("kvstore_rpc_ping_seconds",
                                                            "Time from a ping to its pong.",
                                                            {},
                                                            metrics::Unit::kNanoseconds);
};

}  // namespace kvstore::rpc
