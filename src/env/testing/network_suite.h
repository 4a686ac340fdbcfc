// What env::Network, Listener and Connection promise. See env_suite.h.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "env/testing/env_suite.h"
#include "env/testing/recording_handler.h"

namespace kvstore::env {

// One listener and one client of it, both on the fixture's core.
template <typename Fixture>
class EnvNetworkSuite : public EnvSuite<Fixture> {
protected:
    [[nodiscard]] Network& network() { return this->env().network; }

    AcceptHandler accepting() {
        return [this](Connection& connection) {
            server_.connection = &connection;
            return std::make_unique<RecordingHandler>(server_);
        };
    }
    void listen() {
        auto listening = network().listen(Address{.host = this->host()}, accepting());
        ASSERT_TRUE(listening.ok()) << listening.status().to_string();
        listener_ = std::move(listening).value();
    }
    Result<Connection*> try_connect(Address address, async::Deadline deadline = {}) {
        return this->run(network().connect(
            std::move(address), std::make_unique<RecordingHandler>(client_), deadline));
    }
    [[nodiscard]] Address address() const { return listener_->local(); }
    void connect() {
        listen();
        auto connected = try_connect(address());
        ASSERT_TRUE(connected.ok()) << connected.status().to_string();
        client_.connection = *connected;
        ASSERT_TRUE(this->run_until([this] { return server_.connection != nullptr; }));
    }
    // Appends and asks for a flush, as a protocol does in its turn.
    void send(ConnectionRecord& from, ByteView data) {
        const auto append = [](Connection* connection, Bytes bytes) -> async::Task<bool> {
            connection->output() += bytes;
            connection->flush_later();
            co_return true;
        };
        ASSERT_NE(from.connection, nullptr);
        ASSERT_TRUE(this->run(append(from.connection, Bytes(data))));
    }
    void close(ConnectionRecord& one, Connection::CloseMode mode) {
        ASSERT_NE(one.connection, nullptr);
        one.connection->close(mode);
    }
    [[nodiscard]] bool both_closed() {
        return this->run_until([this] { return client_.closings > 0 && server_.closings > 0; });
    }
    void TearDown() override {
        for (ConnectionRecord* record : {&client_, &server_}) {
            if (record->connection != nullptr) {
                record->connection->close(Connection::CloseMode::kNow);
            }
        }
        EXPECT_TRUE(this->run_until(
            [this] { return client_.connection == nullptr && server_.connection == nullptr; }));
        // Exactly once, whatever the test did; and no handler outlives it.
        EXPECT_LE(client_.closings, 1);
        EXPECT_LE(server_.closings, 1);
        listener_.reset();
    }

    ConnectionRecord client_;
    ConnectionRecord server_;
    std::unique_ptr<Listener> listener_;
};

TYPED_TEST_SUITE_P(EnvNetworkSuite);

TYPED_TEST_P(EnvNetworkSuite, GivesAFreePortWhereZeroIsAskedFor) {
    this->listen();

    EXPECT_NE(this->address().port, 0);
}

TYPED_TEST_P(EnvNetworkSuite, DoesNotListenOnAPortThatIsTaken) {
    this->listen();

    const auto again = this->network().listen(this->address(), this->accepting());

    EXPECT_EQ(again.status().code(), Code::kAlreadyExists);
    EXPECT_NE(again.status().message().find(std::to_string(this->address().port)),
              std::string_view::npos);
}

TYPED_TEST_P(EnvNetworkSuite, DoesNotListenOnAnAddressThatIsNotLocal) {
    const Address far{.host = "192.0.2.1", .port = 0};

    EXPECT_EQ(this->network().listen(far, this->accepting()).status().code(),
              Code::kInvalidArgument);
}

TYPED_TEST_P(EnvNetworkSuite, ListensAgainOnAPortThatWasGivenUp) {
    this->listen();
    const Address same = this->address();
    this->listener_.reset();

    EXPECT_TRUE(this->network().listen(same, this->accepting()).ok());
}

TYPED_TEST_P(EnvNetworkSuite, TellsThatNobodyListens) {
    this->listen();
    const Address nobody = this->address();
    this->listener_.reset();

    EXPECT_EQ(this->try_connect(nobody).status().code(), Code::kUnavailable);
    EXPECT_EQ(this->client_.handlers_destroyed, 1);
    EXPECT_EQ(this->client_.closings, 0);
}

TYPED_TEST_P(EnvNetworkSuite, TellsThatAHostIsUnknown) {
    const Address unknown{.host = "no-such-host.invalid", .port = 1};

    EXPECT_EQ(this->try_connect(unknown).status().code(), Code::kUnavailable);
}

TYPED_TEST_P(EnvNetworkSuite, GivesUpConnectingAtTheDeadline) {
    this->listen();

    const auto connected =
        this->try_connect(this->address(), async::Deadline{.at = MonotonicTime{}});

    EXPECT_EQ(connected.status().code(), Code::kDeadlineExceeded);
}

TYPED_TEST_P(EnvNetworkSuite, CarriesBytesBothWays) {
    this->connect();

    this->send(this->client_, "ping");
    EXPECT_TRUE(this->run_until([this] { return this->server_.received == "ping"; }));
    this->send(this->server_, "pong");
    EXPECT_TRUE(this->run_until([this] { return this->client_.received == "pong"; }));
}

TYPED_TEST_P(EnvNetworkSuite, TellsTheSameAddressesAtBothEnds) {
    this->connect();

    EXPECT_EQ(this->client_.connection->peer().port, this->address().port);
    EXPECT_EQ(this->server_.connection->local().port, this->address().port);
    EXPECT_EQ(this->server_.connection->peer().port, this->client_.connection->local().port);
}

TYPED_TEST_P(EnvNetworkSuite, CarriesMuchMoreThanItsBuffersHold) {
    this->connect();
    Bytes data;
    for (std::uint32_t i = 0; data.size() < (8U << 20U); ++i) {
        data += std::to_string(i) + ",";
    }

    this->send(this->client_, data);

    EXPECT_TRUE(this->run_until([&] { return this->server_.received.size() >= data.size(); }));
    EXPECT_TRUE(this->server_.received == data);
}

TYPED_TEST_P(EnvNetworkSuite, ShowsInputAgainUntilItIsConsumed) {
    bool was_shown_again = false;
    this->server_.on_input = [&](Connection& connection) {
        if (connection.input() == "head+tail") {
            connection.consume(5);
            was_shown_again = connection.input() == "tail";
        }
    };
    this->connect();

    this->send(this->client_, "head+");
    EXPECT_TRUE(this->run_until([this] { return this->server_.connection->input() == "head+"; }));
    this->send(this->client_, "tail");

    EXPECT_TRUE(this->run_until([&] { return was_shown_again; }));
}

TYPED_TEST_P(EnvNetworkSuite, MakesRoomForALargeMessage) {
    const Bytes large(300'000, 'x');
    this->server_.on_input = [&](Connection& connection) {
        connection.expect_input(large.size());
        if (connection.input().size() == large.size()) {
            this->server_.received = connection.input();
            connection.consume(large.size());
        }
    };
    this->connect();

    this->send(this->client_, large);

    EXPECT_TRUE(this->run_until([&] { return this->server_.received == large; }));
}

TYPED_TEST_P(EnvNetworkSuite, SlowsASenderWhosePeerDoesNotRead) {
    this->connect();
    this->server_.connection->pause_input();
    const std::size_t size = 24U << 20U;

    this->send(this->client_, Bytes(size, 'x'));
    this->run(wait_until(&this->env().clock, [this, begin = this->env().clock.now()] {
        return this->env().clock.now() - begin > std::chrono::milliseconds(20);
    }));
    EXPECT_TRUE(this->server_.received.empty());
    EXPECT_GT(this->client_.connection->output_size(), Connection::kOutputHighWater);

    this->server_.connection->resume_input();
    EXPECT_TRUE(this->run_until([&] { return this->server_.received.size() == size; }));
}

TYPED_TEST_P(EnvNetworkSuite, TellsWhenMuchOutputHasDrained) {
    this->connect();
    std::size_t left = 0;
    this->client_.on_drained = [&](Connection& connection) {
        left = connection.output_size();
    };

    this->send(this->client_, Bytes(4 * Connection::kOutputHighWater, 'x'));

    EXPECT_TRUE(this->run_until([this] { return this->client_.drains > 0; }));
    EXPECT_LE(left, Connection::kOutputLowWater);
    EXPECT_TRUE(this->run_until(
        [this] { return this->server_.received.size() == 4 * Connection::kOutputHighWater; }));
    EXPECT_EQ(this->client_.drains, 1);
}

TYPED_TEST_P(EnvNetworkSuite, SendsEverythingBeforeItClosesAfterFlush) {
    this->connect();
    const std::size_t size = 4U << 20U;

    this->send(this->client_, Bytes(size, 'x'));
    this->close(this->client_, Connection::CloseMode::kAfterFlush);

    EXPECT_TRUE(this->both_closed());
    EXPECT_EQ(this->server_.received.size(), size);
    EXPECT_EQ(this->server_.input_ends, 1);
    EXPECT_TRUE(this->client_.reason.ok()) << this->client_.reason.to_string();
    EXPECT_TRUE(this->server_.reason.ok()) << this->server_.reason.to_string();
    EXPECT_EQ(this->client_.handlers_destroyed, 1);
    EXPECT_EQ(this->server_.handlers_destroyed, 1);
}

TYPED_TEST_P(EnvNetworkSuite, SendsNothingThatWasAppendedAfterClosing) {
    this->connect();

    const auto close_and_append = [](Connection* connection) -> async::Task<bool> {
        connection->output() += "before";
        connection->flush_later();
        connection->close(Connection::CloseMode::kAfterFlush);
        connection->output() += "after";
        connection->flush_later();
        co_return true;
    };
    this->run(close_and_append(this->client_.connection));

    EXPECT_TRUE(this->both_closed());
    EXPECT_EQ(this->server_.received, "before");
}

TYPED_TEST_P(EnvNetworkSuite, ClosesAtOnceWithoutCallingBackFromWithin) {
    this->connect();

    this->close(this->client_, Connection::CloseMode::kNow);
    EXPECT_EQ(this->client_.closings, 0);

    EXPECT_TRUE(this->both_closed());
    EXPECT_TRUE(this->client_.reason.ok());
}

TYPED_TEST_P(EnvNetworkSuite, IsClosedOnceHoweverOftenThatIsAskedFor) {
    this->connect();

    this->close(this->client_, Connection::CloseMode::kAfterFlush);
    this->close(this->client_, Connection::CloseMode::kNow);
    this->close(this->client_, Connection::CloseMode::kNow);

    EXPECT_TRUE(this->both_closed());
    EXPECT_EQ(this->client_.closings, 1);
}

TYPED_TEST_P(EnvNetworkSuite, TakesACloseWithinOnInput) {
    this->server_.on_input = [](Connection& connection) {
        connection.consume(connection.input().size());
        connection.output() += "bye";
        connection.close(Connection::CloseMode::kAfterFlush);
    };
    this->connect();

    this->send(this->client_, "hello");

    EXPECT_TRUE(this->both_closed());
    EXPECT_EQ(this->client_.received, "bye");
}

TYPED_TEST_P(EnvNetworkSuite, AnswersAfterItsPeersLastByte) {
    this->server_.on_input = [](Connection&) {
    };
    this->server_.on_input_end = [this](Connection& connection) {
        // All of the input is still there at its end.
        this->server_.received = connection.input();
        connection.close(Connection::CloseMode::kAfterFlush);
    };
    this->connect();

    this->send(this->client_, "question");
    this->close(this->client_, Connection::CloseMode::kAfterFlush);

    EXPECT_TRUE(this->both_closed());
    EXPECT_EQ(this->server_.received, "question");
    EXPECT_EQ(this->server_.input_ends, 1);
}

TYPED_TEST_P(EnvNetworkSuite, RefusesAConnectionThatNobodyHandles) {
    auto refusing = this->network().listen(Address{.host = this->host()}, [](Connection&) {
        return std::unique_ptr<ConnectionHandler>();
    });
    ASSERT_TRUE(refusing.ok());
    this->listener_ = std::move(refusing).value();

    const auto connected = this->try_connect(this->address());

    // The handshake may still have succeeded; then the connection ends at once.
    EXPECT_TRUE(!connected.ok() || this->run_until([this] { return this->client_.closings == 1; }));
}

TYPED_TEST_P(EnvNetworkSuite, KeepsAcceptedConnectionsWhenListeningEnds) {
    this->connect();
    this->listener_.reset();

    this->send(this->client_, "still there");

    EXPECT_TRUE(this->run_until([this] { return this->server_.received == "still there"; }));
}

TYPED_TEST_P(EnvNetworkSuite, CallsHandlersWithinTurnsOfTheCore) {
    const async::Scheduler* during = nullptr;
    this->server_.on_input = [&](Connection& connection) {
        during = async::Scheduler::current();
        connection.consume(connection.input().size());
    };
    this->connect();

    this->send(this->client_, "x");

    EXPECT_TRUE(this->run_until([&] { return during != nullptr; }));
    EXPECT_EQ(during, &this->env().scheduler);
}

REGISTER_TYPED_TEST_SUITE_P(EnvNetworkSuite,
                            GivesAFreePortWhereZeroIsAskedFor,
                            DoesNotListenOnAPortThatIsTaken,
                            DoesNotListenOnAnAddressThatIsNotLocal,
                            ListensAgainOnAPortThatWasGivenUp,
                            TellsThatNobodyListens,
                            TellsThatAHostIsUnknown,
                            GivesUpConnectingAtTheDeadline,
                            CarriesBytesBothWays,
                            TellsTheSameAddressesAtBothEnds,
                            CarriesMuchMoreThanItsBuffersHold,
                            ShowsInputAgainUntilItIsConsumed,
                            MakesRoomForALargeMessage,
                            SlowsASenderWhosePeerDoesNotRead,
                            TellsWhenMuchOutputHasDrained,
                            SendsEverythingBeforeItClosesAfterFlush,
                            SendsNothingThatWasAppendedAfterClosing,
                            ClosesAtOnceWithoutCallingBackFromWithin,
                            IsClosedOnceHoweverOftenThatIsAskedFor,
                            TakesACloseWithinOnInput,
                            AnswersAfterItsPeersLastByte,
                            RefusesAConnectionThatNobodyHandles,
                            KeepsAcceptedConnectionsWhenListeningEnds,
                            CallsHandlersWithinTurnsOfTheCore);

}  // namespace kvstore::env
