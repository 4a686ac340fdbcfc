#include "rpc/testing/test_node.h"

#include "base/parse.h"

namespace kvstore::rpc::testing {

void RecordingService::on_messages(NodeId from, Received received) {
    messages.emplace_back(from, Bytes(received.bytes));
    kept.push_back(std::move(received));
}

void RecordingService::on_call(NodeId /*from*/, Received request, Responder responder) {
    calls.emplace_back(request.bytes);
    if (request.bytes == "fail") {
        responder.fail(Status(Code::kConflict, "as asked"));
    } else if (request.bytes == "hold") {
        held.push_back(std::move(responder));
    } else if (request.bytes.starts_with("big ")) {
        const auto size = parse_uint64(request.bytes.substr(4));
        responder.answer(Bytes(static_cast<std::size_t>(size.value_or(0)), 'b'));
    } else if (request.bytes != "drop") {
        responder.answer(request.bytes);
    }
    kept.push_back(std::move(request));
}

async::Task<Result<Bytes>> RecordingService::on_stream(NodeId /*from*/,
                                                       Bytes header,
                                                       std::unique_ptr<IncomingStream> stream) {
    std::size_t size = 0;
    while (true) {
        auto chunk = co_await stream->read();
        if (!chunk.ok() || chunk->empty()) {
            stream_ends.push_back(chunk.status());
            if (!chunk.ok()) {
                co_return chunk.status();
            }
            co_return header == "big" ? Bytes(kBigAnswer, 'b') : std::to_string(size);
        }
        size += chunk->size();
        chunks.push_back(*std::move(chunk));
        if (header == "refuse") {
            co_return Status(Code::kDiskFull, "no room for a stream");
        }
        if (header == "slow") {
            co_await env_.clock.sleep(pace);
        }
    }
}

void RecordingService::on_peer_state(NodeId peer, bool is_connected) {
    peer_states.push_back(std::to_string(peer.value()) + (is_connected ? " up" : " down"));
}

TestNode::TestNode(env::Env& env, Options options, AdmitPeer admit)
    : service(env),
      other_service(env),
      transport(Transport::make(env, std::move(options), std::move(admit))) {
    transport->add_service(kTopic, &service);
    transport->add_service(kOtherTopic, &other_service);
}

Options options_of(std::uint64_t number) {
    Options options;
    options.self.cluster = kCluster;
    options.self.node = NodeId(number);
    options.self.store = 1000 + number;
    options.self.incarnation = 1;
    options.self.name = "n" + std::to_string(number);
    options.self.address = address_of(number).to_string();
    return options;
}

env::Address address_of(std::uint64_t number) {
    return {.host = "n" + std::to_string(number), .port = kPort};
}

TestCluster::TestCluster(std::uint64_t seed, sim::WorldOptions options) : world(seed, options) {}

TestCluster::~TestCluster() {
    for (std::uint64_t number = 1; number <= size(); ++number) {
        if (is_up(number)) {
            stop(number);
        }
    }
}

TestNode& TestCluster::add(AdmitPeer admit) {
    return add(options_of(size() + 1), std::move(admit));
}

TestNode& TestCluster::add(Options options, AdmitPeer admit) {
    const std::uint64_t number = size() + 1;
    hosts_.push_back(&world.add_host(address_of(number).host));
    nodes_.emplace_back();
    lives_.push_back(options.self.incarnation);
    start(number, std::move(options), std::move(admit));
    return node(number);
}

void TestCluster::start(std::uint64_t number, Options options, AdmitPeer admit) {
    nodes_[number - 1] =
        std::make_unique<TestNode>(host(number).env(), std::move(options), std::move(admit));
    const auto listening = transport(number).listen(address_of(number));
    KVSTORE_ASSERT(listening.ok());
}

void TestCluster::add_all(std::uint64_t count) {
    for (std::uint64_t number = 1; number <= count; ++number) {
        add();
        for (std::uint64_t other = 1; other < number; ++other) {
            introduce(number, other);
        }
    }
}

void TestCluster::introduce(std::uint64_t one, std::uint64_t other) {
    transport(one).set_peer(NodeId(other), address_of(other));
    transport(other).set_peer(NodeId(one), address_of(one));
}

void TestCluster::crash(std::uint64_t number, sim::CrashKind kind) {
    world.crash(host(number), kind);
    sim::bury(std::move(nodes_[number - 1]));
}

TestNode& TestCluster::restart(std::uint64_t number) {
    world.restart(host(number));
    Options options = options_of(number);
    options.self.incarnation = ++lives_[number - 1];
    start(number, std::move(options), {});
    return node(number);
}

bool TestCluster::connect(std::uint64_t from, std::uint64_t to) {
    say(from, to, "");
    return world.run_until([&] { return transport(from).is_connected(NodeId(to)); },
                           std::chrono::seconds(10));
}

PeerStatus TestCluster::status(std::uint64_t from, std::uint64_t to) {
    for (PeerStatus& status : transport(from).peers()) {
        if (status.id == NodeId(to)) {
            return std::move(status);
        }
    }
    return {};
}

bool TestCluster::say(std::uint64_t from, std::uint64_t to, ByteView message, Topic topic) {
    Bytes* buffer = transport(from).message_buffer(NodeId(to), topic);
    if (buffer != nullptr) {
        buffer->append(message);
    }
    return buffer != nullptr;
}

Result<Bytes> TestCluster::call(std::uint64_t from,
                                std::uint64_t to,
                                ByteView request,
                                Duration patience) {
    auto answer = world.block_on(
        host(from), transport(from).call(NodeId(to), kTopic, Bytes(request), in(patience)));
    if (!answer.ok()) {
        return answer.status();
    }
    return Bytes(answer->bytes);
}

Result<Bytes> TestCluster::stream(std::uint64_t from,
                                  std::uint64_t to,
                                  Bytes header,
                                  std::vector<Bytes> chunks) {
    return world.block_on(host(from),
                          write_stream(&transport(from),
                                       NodeId(to),
                                       std::move(header),
                                       std::move(chunks),
                                       in(std::chrono::minutes(10))));
}

void TestCluster::stop(std::uint64_t number) {
    node(number).service.held.clear();
    world.block_on(host(number), transport(number).stop());
    nodes_[number - 1].reset();
}

async::Task<Result<Bytes>> write_stream(Transport* transport,
                                        NodeId to,
                                        Bytes header,
                                        std::vector<Bytes> chunks,
                                        async::Deadline deadline) {
    KVSTORE_CO_TRY(auto stream,
                   co_await transport->open_stream(to, kTopic, std::move(header), deadline));
    for (Bytes& chunk : chunks) {
        KVSTORE_CO_CHECK_OK(co_await stream->write(std::move(chunk)));
    }
    auto answer = co_await stream->finish(deadline);
    co_return answer;
}

}  // namespace kvstore::rpc::testing
