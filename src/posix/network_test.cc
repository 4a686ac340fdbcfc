// The network door on real loopback sockets.
#include "env/network.h"

#include <algorithm>
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

Bytes pattern(std::size_t size) {
    Bytes bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<char>('a' + i * 7 % 23);
    }
    return bytes;
}

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
    std::deque<Record> records;
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

TEST_F(PosixNetwork, SendsAfterThePeerHasEndedItsOutput) {
    accepted.on_input_end = [](Connection& connection) {
        connection.output() += "got it all";
        connection.close(Connection::CloseMode::kAfterFlush);
    };
    SocketClient client(port());
    client.send("all");
    client.end_output();

    EXPECT_EQ(receive(client, 100), "got it all");

    EXPECT_TRUE(client.has_ended());
    EXPECT_FALSE(client.was_reset());
    EXPECT_TRUE(until([&] { return accepted.closed == 1; }));
    EXPECT_EQ(accepted.received, "all");
}

TEST_F(PosixNetwork, KeepsWhatWasNotConsumedUntilMoreComes) {
    // A protocol of four-byte messages, sent in pieces.
    std::vector<Bytes> messages;
    accepted.on_input = [&](Connection& connection) {
        while (connection.input().size() >= 4) {
            messages.emplace_back(connection.input().substr(0, 4));
            connection.consume(4);
        }
    };
    SocketClient client(port());

    for (const char* piece : {"ab", "cde", "fghij", "kl"}) {
        const int calls = accepted.input_calls;
        client.send(piece);
        EXPECT_TRUE(until([&] { return accepted.input_calls > calls; }));
    }

    EXPECT_THAT(messages, testing::ElementsAre("abcd", "efgh", "ijkl"));
}

TEST_F(PosixNetwork, SendsALargeOutputToASlowReader) {
    const Bytes large = pattern(32U << 20U);
    accepted.on_input = [&](Connection& connection) {
        connection.consume(connection.input().size());
        connection.output() += large;
        connection.flush_later();
        connection.close(Connection::CloseMode::kAfterFlush);
    };
    SocketClient client(port(), 64 << 10);
    client.send("go");

    const Bytes got = receive(client, large.size() + 1);

    EXPECT_TRUE(got == large);
    EXPECT_FALSE(client.was_reset());
}

TEST_F(PosixNetwork, SendsWhatIsAppendedWhileEarlierOutputWaits) {
    Connection* connection = nullptr;
    accepted.on_input = [&](Connection& self) {
        self.consume(self.input().size());
        connection = &self;
    };
    SocketClient client(port(), 16 << 10);
    client.send("go");
    EXPECT_TRUE(until([&] { return connection != nullptr; }));
    Bytes expected;

    Bytes got;
    for (int i = 0; i < 50; ++i) {
        const Bytes part = std::to_string(i) + pattern(300'000);
        expected += part;
        connection->output() += part;
        connection->flush_later();
        EXPECT_TRUE(until([&, polls = 0]() mutable {
            got += client.receive();
            return ++polls == 3;
        }));
    }
    got += receive(client, expected.size() - got.size());

    EXPECT_EQ(got.size(), expected.size());
    EXPECT_TRUE(got == expected);
}

TEST_F(PosixNetwork, StopsReadingAClientThatNeverReads) {
    // Each kilobyte asks for itself back.
    std::size_t output_max = 0;
    accepted.on_input = [&](Connection& connection) {
        echo(connection);
        output_max = std::max(output_max, connection.output_size());
    };
    SocketClient client(port(), 16 << 10);
    const Bytes request = pattern(64U << 10U);

    std::size_t sent = 0;
    int refused_in_a_row = 0;
    EXPECT_TRUE(until([&] {
        const std::size_t taken = client.send(request);
        sent += taken;
        refused_in_a_row = taken == 0 ? refused_in_a_row + 1 : 0;
        return refused_in_a_row > 2000 || sent > (64U << 20U);
    }));

    // What the kernel's buffers took, and our share.
    EXPECT_LT(sent, 32U << 20U);
    EXPECT_LE(output_max, Connection::kOutputHighWater + (512U << 10U));
    const Bytes answers = receive(client, sent);
    EXPECT_EQ(answers.size(), sent);
    EXPECT_GE(accepted.drained, 1);
}

TEST_F(PosixNetwork, TellsTheHandlerOnceThatOutputHasDrained) {
    Connection* connection = nullptr;
    accepted.on_input = [&](Connection& self) {
        self.consume(self.input().size());
        self.output() += pattern(8U << 20U);
        self.flush_later();
        connection = &self;
    };
    std::size_t size_when_drained = 0;
    accepted.on_output_drained = [&](Connection& self) {
        size_when_drained = self.output_size();
    };
    SocketClient client(port(), 64 << 10);
    client.send("go");
    EXPECT_TRUE(until([&] { return connection != nullptr; }));
    EXPECT_EQ(accepted.drained, 0);

    receive(client, 8U << 20U);

    EXPECT_TRUE(until([&] { return accepted.drained == 1; }));
    EXPECT_LT(size_when_drained, Connection::kOutputLowWater);
    EXPECT_EQ(connection->output_size(), 0U);
}

TEST_F(PosixNetwork, PausedConnectionTakesNothingUntilResumed) {
    Connection* connection = nullptr;
    accepted.on_input = [&](Connection& self) {
        connection = &self;
        accepted.received += self.input();
        self.consume(self.input().size());
        self.pause_input();
    };
    SocketClient client(port());
    client.send("one");
    EXPECT_TRUE(until([&] { return connection != nullptr; }));
    client.send("two");
    EXPECT_TRUE(until([polls = 0]() mutable { return ++polls == 100; }));
    EXPECT_EQ(accepted.received, "one");

    connection->resume_input();

    EXPECT_TRUE(until([&] { return accepted.received == "onetwo"; }));
}

TEST_F(PosixNetwork, PausedConnectionSlowsTheSender) {
    accepted.on_input = [&](Connection& self) {
        self.pause_input();
    };
    SocketClient client(port());
    const Bytes flood = pattern(1U << 20U);

    std::size_t sent = 0;
    int refused_in_a_row = 0;
    EXPECT_TRUE(until([&] {
        const std::size_t taken = client.send(flood);
        sent += taken;
        refused_in_a_row = taken == 0 ? refused_in_a_row + 1 : 0;
        return refused_in_a_row > 1000;
    }));

    EXPECT_LT(sent, 32U << 20U);
    EXPECT_LE(accepted.connection->input().size(), 64U << 10U);
}

TEST_F(PosixNetwork, SeesAResetWhilePaused) {
    accepted.on_input = [&](Connection& self) {
        self.pause_input();
    };
    SocketClient client(port());
    client.send("x");
    EXPECT_TRUE(until([&] { return accepted.input_calls == 1; }));

    client.reset();

    EXPECT_TRUE(until([&] { return accepted.closed == 1; }));
    EXPECT_EQ(accepted.reason.code(), Code::kUnavailable);
}

TEST_F(PosixNetwork, ReportsAResetAsUnavailable) {
    SocketClient client(port());
    client.send("x");
    EXPECT_TRUE(until([&] { return accepted.input_calls == 1; }));

    client.reset();

    EXPECT_TRUE(until([&] { return accepted.closed == 1; }));
    EXPECT_EQ(accepted.reason.code(), Code::kUnavailable);
    EXPECT_THAT(accepted.reason.to_string(), testing::HasSubstr("127.0.0.1"));
}

TEST_F(PosixNetwork, CloseNowDropsOutputAndReportsInTheSameTurn) {
    bool was_open_after_close = false;
    accepted.on_input = [&](Connection& self) {
        self.output() += "never sent";
        self.flush_later();
        self.close(Connection::CloseMode::kNow);
        self.close(Connection::CloseMode::kAfterFlush);
        was_open_after_close = accepted.closed == 0;
    };
    SocketClient client(port());
    client.send("x");

    EXPECT_TRUE(until([&] { return accepted.closed > 0; }));

    EXPECT_TRUE(was_open_after_close);
    EXPECT_EQ(accepted.closed, 1);
    EXPECT_TRUE(accepted.reason.ok());
    EXPECT_EQ(receive(client, 1), "");
}

TEST_F(PosixNetwork, CloseAfterFlushSendsOnlyWhatWasAppendedBefore) {
    accepted.on_input = [&](Connection& self) {
        Bytes& output = self.output();
        output += "before";
        self.close(Connection::CloseMode::kAfterFlush);
        output += " after";
        self.flush_later();
    };
    SocketClient client(port());
    client.send("x");

    EXPECT_EQ(receive(client, 100), "before");
    EXPECT_TRUE(until([&] { return accepted.closed == 1; }));
    EXPECT_TRUE(accepted.reason.ok());
}

TEST_F(PosixNetwork, LastAnswerSurvivesInputThatNobodyReads) {
    // A client that sends a large request is told "no" after its first bytes. Without lingering the
    // close would reset the connection and take the answer away.
    accepted.on_input = [&](Connection& self) {
        self.output() += "too large";
        self.close(Connection::CloseMode::kAfterFlush);
    };
    SocketClient client(port());

    send_all(client, pattern(3U << 20U));

    EXPECT_EQ(receive(client, 100), "too large");
    EXPECT_FALSE(client.was_reset());
}

TEST_F(PosixNetwork, TakesAnAnnouncedLargeMessageInOnePiece) {
    const Bytes message = pattern(64U << 20U);
    bool is_whole = false;
    accepted.on_input = [&](Connection& self) {
        self.expect_input(message.size());
        if (self.input().size() >= message.size()) {
            is_whole = self.input() == message;
            self.consume(message.size());
        }
    };
    SocketClient client(port());

    send_all(client, message);

    EXPECT_TRUE(until([&] { return is_whole; }));
}

TEST_F(PosixNetwork, GrowsForALargeMessageThatNobodyAnnounced) {
    const Bytes message = pattern(5U << 20U);
    bool is_whole = false;
    accepted.on_input = [&](Connection& self) {
        is_whole = self.input() == message;
    };
    SocketClient client(port());

    send_all(client, message);

    EXPECT_TRUE(until([&] { return is_whole; }));
}

TEST_F(PosixNetwork, ClosesAConnectionWhoseInputPassesTheLimit) {
    Record greedy;
    Runtime small(RuntimeOptions{.input_bytes_max = 100'000});
    const auto small_listener = listen_recording(small, greedy);
    greedy.on_input = [](Connection&) {
    };
    SocketClient client(small_listener->local().port);
    const Bytes flood = pattern(1U << 20U);

    EXPECT_TRUE(run_until(small, [&] {
        client.send(flood);
        return greedy.closed == 1;
    }));

    EXPECT_EQ(greedy.reason.code(), Code::kTooLarge);
}

// Raises the soft limit of descriptors, or lowers it, for the length of a test.
class DescriptorLimit {
public:
    explicit DescriptorLimit(rlim_t count) {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        set(count);
    }
    DescriptorLimit(const DescriptorLimit&) = delete;
    DescriptorLimit& operator=(const DescriptorLimit&) = delete;
    ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

    void set(rlim_t count) {
        const rlimit changed{.rlim_cur = std::min(count, before_.rlim_max),
                             .rlim_max = before_.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &changed);
    }

private:
    rlimit before_ = {};
};

TEST_F(PosixNetwork, ServesAThousandConnections) {
    const DescriptorLimit limit(4096);
    auto many = runtime.env().network.listen(
        {.host = "127.0.0.1"}, [&](Connection&) -> std::unique_ptr<env::ConnectionHandler> {
            records.emplace_back().on_input = &echo;
            return std::make_unique<RecordingHandler>(records.back());
        });
    ASSERT_TRUE(many.ok());
    constexpr std::size_t kCount = 1000;
    std::vector<SocketClient> clients;
    std::vector<Bytes> answers(kCount);

    for (std::size_t i = 0; i < kCount; ++i) {
        clients.emplace_back((*many)->local().port).send("client " + std::to_string(i));
    }

    std::size_t answered = 0;
    EXPECT_TRUE(until([&] {
        for (std::size_t i = 0; i < kCount; ++i) {
            if (answers[i].empty()) {
                answers[i] = clients[i].receive();
                answered += answers[i].empty() ? 0U : 1U;
            }
        }
        return answered == kCount;
    }));
    for (std::size_t i = 0; i < kCount; ++i) {
        ASSERT_EQ(answers[i], "client " + std::to_string(i));
    }
    EXPECT_EQ(records.size(), kCount);
}

TEST_F(PosixNetwork, SurvivesRunningOutOfDescriptors) {
    accepted.on_input = &echo;
    SocketClient old(port());
    EXPECT_TRUE(until([&] { return accepted.connection != nullptr; }));
    // A client needs a descriptor of its own, so it comes before the last one is taken; the
    // listener finds none for its side.
    SocketClient waiting(port());
    DescriptorLimit limit(3);
    waiting.send("are you there");

    old.send("still here");
    EXPECT_EQ(receive(old, 10), "still here");
    EXPECT_EQ(waiting.receive(), "");
    limit.set(4096);

    EXPECT_EQ(receive(waiting, 13), "are you there");
}

TEST_F(PosixNetwork, RefusesWhomTheAcceptHandlerGivesNoHandler) {
    auto refusing = runtime.env().network.listen(
        {.host = "127.0.0.1"},
        [](Connection&) -> std::unique_ptr<env::ConnectionHandler> { return nullptr; });
    ASSERT_TRUE(refusing.ok());
    SocketClient client((*refusing)->local().port);

    EXPECT_EQ(receive(client, 1), "");
    EXPECT_TRUE(client.has_ended());
}

TEST_F(PosixNetwork, AcceptedConnectionsOutliveTheirListener) {
    accepted.on_input = &echo;
    SocketClient client(port());
    EXPECT_TRUE(until([&] { return accepted.connection != nullptr; }));

    listener.reset();

    client.send("hello");
    EXPECT_EQ(receive(client, 5), "hello");
}

TEST_F(PosixNetwork, ListenerMayEndInItsOwnAcceptHandler) {
    std::unique_ptr<env::Listener> once;
    Record& first = records.emplace_back();
    auto opened = runtime.env().network.listen({.host = "127.0.0.1"}, [&](Connection&) {
        once.reset();
        first.on_input = &echo;
        return std::make_unique<RecordingHandler>(first);
    });
    ASSERT_TRUE(opened.ok());
    once = *std::move(opened);
    SocketClient client(once->local().port);

    client.send("only one");

    EXPECT_EQ(receive(client, 8), "only one");
}

TEST_F(PosixNetwork, ListenSaysThatAPortIsTaken) {
    const auto again = runtime.env().network.listen(
        listener->local(),
        [](Connection&) -> std::unique_ptr<env::ConnectionHandler> { return nullptr; });

    ASSERT_FALSE(again.ok());
    EXPECT_EQ(again.status().code(), Code::kAlreadyExists);
    EXPECT_THAT(again.status().to_string(), testing::HasSubstr(listener->local().to_string()));
}

TEST_F(PosixNetwork, ListenRefusesAHostThatIsNoLocalAddress) {
    for (const char* host : {"192.0.2.1", "no-such-host.invalid"}) {
        const auto opened = runtime.env().network.listen(
            {.host = host},
            [](Connection&) -> std::unique_ptr<env::ConnectionHandler> { return nullptr; });

        ASSERT_FALSE(opened.ok());
        EXPECT_EQ(opened.status().code(), Code::kInvalidArgument) << opened.status().to_string();
        EXPECT_THAT(opened.status().to_string(), testing::HasSubstr(host));
    }
}

TEST_F(PosixNetwork, ListensOnAllInterfacesForBothFamilies) {
    auto everywhere = runtime.env().network.listen({.host = ""}, [&](Connection&) {
        accepted.on_input = &echo;
        return std::make_unique<RecordingHandler>(accepted);
    });
    ASSERT_TRUE(everywhere.ok());
    SocketClient client((*everywhere)->local().port);

    client.send("v4");

    EXPECT_EQ(receive(client, 2), "v4");
}

TEST_F(PosixNetwork, ShowsBothAddressesOfAConnection) {
    SocketClient client(port());
    EXPECT_TRUE(until([&] { return accepted.connection != nullptr; }));

    EXPECT_EQ(accepted.connection->local().to_string(), listener->local().to_string());
    EXPECT_EQ(accepted.connection->peer().host, "127.0.0.1");
    EXPECT_NE(accepted.connection->peer().port, 0);
}

TEST_F(PosixNetwork, ConnectSaysWhoRefused) {
    const env::Address nobody = listener->local();
    listener.reset();

    const auto refused = connect(nobody, in(seconds(10)));

    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.status().code(), Code::kUnavailable);
    EXPECT_THAT(refused.status().to_string(), testing::HasSubstr(nobody.to_string()));
    EXPECT_EQ(record.closed, 0);
}

TEST_F(PosixNetwork, ConnectSaysThatAHostIsUnknown) {
    const auto unknown = connect({.host = "no-such-host.invalid", .port = 1}, in(seconds(20)));

    ASSERT_FALSE(unknown.ok());
    EXPECT_EQ(unknown.status().code(), Code::kUnavailable);
    EXPECT_THAT(unknown.status().to_string(), testing::HasSubstr("no-such-host.invalid"));
}

TEST_F(PosixNetwork, ConnectRefusesADeadlineThatHasPassed) {
    const auto too_late = connect(listener->local(), in(Duration(-1)));

    ASSERT_FALSE(too_late.ok());
    EXPECT_EQ(too_late.status().code(), Code::kDeadlineExceeded);
}

TEST_F(PosixNetwork, ConnectGivesUpAtItsDeadline) {
    // A socket that listens and is never accepted from: once its backlog of one is full, the kernel
    // leaves newcomers without an answer.
    const BusyPort busy;

    const auto late =
        connect({.host = "127.0.0.1", .port = busy.port()}, in(std::chrono::milliseconds(20)));

    ASSERT_FALSE(late.ok());
    EXPECT_EQ(late.status().code(), Code::kDeadlineExceeded);
}

TEST_F(PosixNetwork, DestroyingTheRuntimeClosesEachConnectionOnce) {
    Record server;
    Record client;
    {
        Runtime other(RuntimeOptions{});
        const auto local = listen_recording(other, server);
        const auto connected = other.block_on(other.env().network.connect(
            local->local(), std::make_unique<RecordingHandler>(client), async::Deadline::never()));
        ASSERT_TRUE(connected.ok());
        ASSERT_TRUE(run_until(other, [&] { return server.connection != nullptr; }));
        // Whoever closes another connection in on_closed() changes nothing.
        client.on_closed = [&](Connection& self) {
            self.close(Connection::CloseMode::kNow);
        };
    }

    EXPECT_EQ(server.closed, 1);
    EXPECT_EQ(client.closed, 1);
    EXPECT_EQ(server.reason.code(), Code::kUnavailable);
}

TEST_F(PosixNetwork, ReadsOnAfterATurnsShareWasUsedUp) {
    // More than one turn's share, sent before the first read, and nothing afterwards that would
    // make a new event.
    std::size_t taken = 0;
    Connection* connection = nullptr;
    accepted.on_input = [&](Connection& self) {
        connection = &self;
        taken += self.input().size();
        self.consume(self.input().size());
        if (taken == 1) {
            self.pause_input();
        }
    };
    SocketClient client(port());
    client.send("x");
    EXPECT_TRUE(until([&] { return connection != nullptr; }));
    std::size_t sent = 1;
    for (std::size_t size = 1; size > 0; sent += size) {
        size = client.send(pattern(1U << 20U));
    }

    connection->resume_input();

    EXPECT_TRUE(until([&] { return taken == sent; }));
}

TEST_F(PosixNetwork, ClosingConnectionThatTakesNoOutputIsCutOff) {
    Record stuck;
    Runtime impatient(RuntimeOptions{.sweep_interval = std::chrono::milliseconds(1)});
    const auto stuck_listener = listen_recording(impatient, stuck);
    stuck.on_input = [](Connection& self) {
        self.consume(self.input().size());
        self.output() += pattern(32U << 20U);
        self.close(Connection::CloseMode::kAfterFlush);
    };
    SocketClient client(stuck_listener->local().port, 16 << 10);

    client.send("go");

    EXPECT_TRUE(run_until(impatient, [&] { return stuck.closed == 1; }));
    EXPECT_EQ(stuck.reason.code(), Code::kDeadlineExceeded);
}

TEST_F(PosixNetwork, LingeringEndsThoughThePeerStays) {
    Record server;
    Runtime impatient(RuntimeOptions{.sweep_interval = std::chrono::milliseconds(1)});
    const auto local = listen_recording(impatient, server);
    server.on_input = [](Connection& self) {
        self.output() += "bye";
        self.close(Connection::CloseMode::kAfterFlush);
    };
    SocketClient client(local->local().port);
    client.send("x");
    EXPECT_TRUE(run_until(impatient, [&] { return server.closed == 1; }));

    // What is sent after the end of lingering is answered with a reset.
    EXPECT_TRUE(run_until(impatient, [&] {
        client.send("y");
        return client.was_reset();
    }));

    EXPECT_TRUE(server.reason.ok());
}

TEST_F(PosixNetwork, IdleConnectionGoesOnAfterItsMemoryWasGivenBack) {
    Record server;
    Runtime tidy(RuntimeOptions{.sweep_interval = std::chrono::milliseconds(1)});
    const auto local = listen_recording(tidy, server);
    server.on_input = &echo;
    SocketClient client(local->local().port);
    Bytes got;

    for (int i = 0; i < 3; ++i) {
        client.send("hello ");
        EXPECT_TRUE(run_until(tidy, [&] {
            got += client.receive();
            return got.size() == 6U * (static_cast<unsigned>(i) + 1);
        }));
        tidy.block_on(tidy.env().clock.sleep(std::chrono::milliseconds(5)));
    }

    EXPECT_EQ(got, "hello hello hello ");
}

TEST_F(PosixNetwork, FloodOnOneConnectionDoesNotKeepAnotherWaiting) {
    // The flooder sends anew whenever it was read, so that its socket is never empty; the other
    // client sends once, after the first of that was read.
    constexpr std::size_t kFlood = 8U << 20U;
    SocketClient other(port());
    EXPECT_TRUE(until([&] { return accepted.connection != nullptr; }));
    Record& flooded = records.emplace_back();
    const auto flooded_listener = listen_recording(runtime, flooded);
    SocketClient flooder(flooded_listener->local().port);
    const Bytes chunk = pattern(256U << 10U);
    std::size_t sent = flooder.send(chunk);
    std::size_t taken = 0;
    std::size_t taken_before_other = 0;
    flooded.on_input = [&](Connection& self) {
        if (taken == 0) {
            other.send("me too");
        }
        taken += self.input().size();
        self.consume(self.input().size());
        sent += sent < kFlood ? flooder.send(chunk) : 0U;
    };
    accepted.on_input = [&](Connection& self) {
        taken_before_other = taken;
        echo(self);
    };

    EXPECT_TRUE(until([&] { return taken == sent && sent >= kFlood; }));

    EXPECT_GT(taken_before_other, 0U);
    EXPECT_LE(taken_before_other, 1U << 20U);
}

}  // namespace
}  // namespace kvstore::posix
