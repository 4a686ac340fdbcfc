// A connection handler that writes down what happens to its connection.
#pragma once

#include <cstddef>
#include <memory>

#include "base/bytes.h"
#include "base/callback.h"
#include "base/status.h"
#include "env/network.h"

namespace kvstore::env {

// Lifetime  Outlives the handlers that write into it.
struct ConnectionRecord {
    Connection* connection = nullptr;  // null before and after its life
    Bytes received;                    // all that was consumed
    int input_ends = 0;
    int drains = 0;
    int closings = 0;
    int handlers_destroyed = 0;
    Status reason;

    // What the handler does, where that is not the default: take everything; close at the end.
    Callback<void(Connection& connection)> on_input;
    Callback<void(Connection& connection)> on_input_end;
    Callback<void(Connection& connection)> on_drained;
};

class RecordingHandler final : public ConnectionHandler {
public:
    explicit RecordingHandler(ConnectionRecord& record) : record_(record) {}
    RecordingHandler(const RecordingHandler&) = delete;
    RecordingHandler& operator=(const RecordingHandler&) = delete;
    ~RecordingHandler() override { ++record_.handlers_destroyed; }

    void on_input(Connection& connection) override {
        record_.connection = &connection;
        if (record_.on_input) {
            record_.on_input(connection);
        } else {
            take_input(connection);
        }
    }
    void on_input_end(Connection& connection) override {
        ++record_.input_ends;
        if (record_.on_input_end) {
            record_.on_input_end(connection);
        } else {
            ConnectionHandler::on_input_end(connection);
        }
    }
    void on_output_drained(Connection& connection) override {
        ++record_.drains;
        if (record_.on_drained) {
            record_.on_drained(connection);
        }
    }
    void on_closed(Connection& /*connection*/, const Status& reason) override {
        ++record_.closings;
        record_.reason = reason;
        record_.connection = nullptr;
    }

    void take_input(Connection& connection) {
        record_.received += connection.input();
        connection.consume(connection.input().size());
    }

private:
    ConnectionRecord& record_;
};

}  // namespace kvstore::env
