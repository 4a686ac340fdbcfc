// The network door on real loopback sockets.
#include "env/network.h"

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "async/sync.h"
#include "posix/runtime.h"
#include "posix/testing/socket_client.h"

namespace kvstore::posix {
namespace {

using env::Connection;
using std::chrono::seconds;

class PosixNetwork : public testing::Test {
protected:
    [[nodiscard]] std::uint16_t port() const { return listener->local().port; }
    [[nodiscard]] bool until(Callback<bool()> condition) {
        return run_until(runtime, std::move(condition));
    }
    // What the client has got once it has `size` bytes or the end.
    Bytes receive(SocketClient& client, std::size_t size) {
        Bytes bytes;
        EXPECT_TRUE(until([&] {
            bytes += client.receive();
            return bytes.size() >= size || client.has_ended();
        }));
        return bytes;
    }
    void send_all(SocketClient& client, ByteView bytes) {
        EXPECT_TRUE(until([&] {
            bytes.remove_prefix(client.send(bytes));
            return bytes.empty() || client.was_reset();
        }));
    }
    Result<Connection*> connect(env::Address address, async::Deadline deadline) {
        return runtime.block_on(runtime.env().network.connect(
            std::move(address), std::make_unique<RecordingHandler>(record), deadline));
    }
    [[nodiscard]] async::Deadline in(Duration span) {
        return async::Deadline::after(runtime.env().clock.now(), span);
    }

    // Before the runtime, which calls on_closed() when it goes.
    Record record;
    Record accepted;
    Runtime runtime{RuntimeOptions{}};
    std::unique_ptr<env::Listener> listener = listen_recording(runtime, accepted);
};

TEST_F(PosixNetwork, EchoesWhatAClientSends) {
    accepted.on_input = &echo;
    SocketClient client(port());

    client.send("hello");

    EXPECT_EQ(receive(client, 5), "hello");
    EXPECT_EQ(accepted.input_calls, 1);
}

TEST_F(PosixNetwork, SendsWhatWasWrittenInOneTurnTogether) {
    accepted.on_input = [](Connection& connection) {
        connection.consume(connection.input().size());
        for (int i = 0; i < 3; ++i) {
            connection.output() += "part";
            connection.flush_later();
        }
    };
    SocketClient client(port());
    client.send("go");

    Bytes first;
    EXPECT_TRUE(until([&] {
        first = client.receive();
        return !first.empty();
    }));

    EXPECT_EQ(first, "partpartpart");
}

TEST_F(PosixNetwork, EndsOrderlyWhenThePeerCloses) {
    SocketClient client(port());
    client.send("last words");
    client.close();

    EXPECT_TRUE(until([&] { return accepted.closed == 1; }));

    EXPECT_EQ(accepted.received, "last words");
    EXPECT_EQ(accepted.input_ends, 1);
    EXPECT_TRUE(accepted.reason.ok());
}

TEST_F(PosixNetwork, ConnectsToAListenerByNumberAndByName) {
    for (const char* host : {"127.0.0.1", "localhost", ""}) {
        accepted.on_input = &echo;

        const auto connected = connect({.host = host, .port = port()}, in(seconds(10)));

        ASSERT_TRUE(connected.ok()) << connected.status().to_string();
        record.received.clear();
        (*connected)->output() += host;
        (*connected)->output() += "!";
        (*connected)->flush_later();
        EXPECT_TRUE(until([&] { return record.received == std::string(host) + "!"; }));
        EXPECT_EQ((*connected)->peer().port, port());
    }
}

}  // namespace
}  // namespace kvstore::posix
