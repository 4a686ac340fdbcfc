#include "sim/internal/sim_connection.h"

#include "base/assert.h"
#include "sim/internal/process.h"
#include "sim/internal/sim_network.h"

namespace kvstore::sim::internal {

SimConnection::SimConnection(SimNetwork& network,
                             Id id,
                             std::shared_ptr<Stream> stream,
                             Side side,
                             env::Address local,
                             env::Address peer)
    : network_(network),
      id_(id),
      stream_(std::move(stream)),
      side_(side),
      local_(std::move(local)),
      peer_(std::move(peer)) {}

SimConnection::~SimConnection() {
    if (!is_finished_) {
        stream_->attach(side_, nullptr, nullptr);
    }
}

void SimConnection::start(std::unique_ptr<env::ConnectionHandler> handler) {
    KVSTORE_ASSERT(handler != nullptr);
    handler_ = std::move(handler);
    stream_->attach(side_, &network_.process(), this);
}

void SimConnection::refuse() {
    is_finished_ = true;
    stream_->close(side_);
}

void SimConnection::consume(std::size_t size) {
    KVSTORE_ASSERT(size <= input_.size() - consumed_);
    consumed_ += size;
}

void SimConnection::expect_input(std::size_t size) {
    input_.reserve(consumed_ + size);
}

void SimConnection::flush_later() {
    network_.process().scheduler().at_turn_end(*this, Phase::kFlush);
}

void SimConnection::resume_input() {
    if (!is_paused_) {
        return;
    }
    is_paused_ = false;
    stream_->attach(
        side_, is_finished_ ? nullptr : &network_.process(), is_finished_ ? nullptr : this);
}

bool SimConnection::can_read() const {
    return !is_closing_ && !is_finished_ && !is_paused_ && !is_above_high_water_;
}

void SimConnection::on_readable() {
    if (!can_read()) {
        return;
    }
    if (stream_->readable(side_) > 0) {
        input_.erase(0, consumed_);
        consumed_ = 0;
        input_ += stream_->read(side_);
        handler_->on_input(*this);
    }
    // The handler may have closed or paused meanwhile; then the end is told later or never.
    if (can_read() && stream_->at_input_end(side_) && !has_told_end_) {
        has_told_end_ = true;
        handler_->on_input_end(*this);
    }
}

void SimConnection::on_writable() {
    flush();
}

void SimConnection::flush() {
    if (is_finished_ || is_closing_) {
        output_.clear();
    }
    if (is_finished_) {
        return;
    }
    is_above_high_water_ = is_above_high_water_ || output_size() > kOutputHighWater;
    leaving_ += output_;
    output_.clear();
    send();
    if (is_closing_) {
        if (leaving_.empty()) {
            stream_->close(side_);
            finish(Status());
        }
        return;
    }
    if (is_above_high_water_ && output_size() < kOutputLowWater) {
        is_above_high_water_ = false;
        tell_drained();
    }
}

void SimConnection::send() {
    sent_ += stream_->send(side_, ByteView(leaving_).substr(sent_));
    // Not at every step, which would be quadratic.
    if (sent_ > leaving_.size() / 2) {
        leaving_.erase(0, sent_);
        sent_ = 0;
    }
}

void SimConnection::tell_drained() {
    handler_->on_output_drained(*this);
    if (!is_finished_) {
        // Reading stopped with the output; go on with what came meanwhile.
        stream_->attach(side_, &network_.process(), this);
    }
}

void SimConnection::close(CloseMode mode) {
    if (is_finished_) {
        return;
    }
    if (mode == CloseMode::kNow) {
        is_closing_ = true;
        leaving_.clear();
        sent_ = 0;
        stream_->close(side_);
        finish(Status());
    } else if (!is_closing_) {
        leaving_ += output_;
        output_.clear();
        is_closing_ = true;
        flush_later();
    }
}

void SimConnection::on_broken(const Status& reason) {
    finish(reason);
}

void SimConnection::finish(Status reason) {
    if (is_finished_) {
        return;
    }
    is_finished_ = true;
    stream_->attach(side_, nullptr, nullptr);
    network_.process().scheduler().post([this, reason = std::move(reason)] {
        handler_->on_closed(*this, reason);
        handler_.reset();
        network_.forget(id_);
    });
}

}  // namespace kvstore::sim::internal
