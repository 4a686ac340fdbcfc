#include "mvcc/internal/walk.h"

#include <algorithm>
#include <optional>

#include "mvcc/internal/entries.h"
#include "mvcc/internal/keys.h"
#include "mvcc/internal/reading.h"

namespace kvstore::mvcc::internal {
namespace {

using storage::Cursor;
using storage::Table;

void begin(Cursor& cursor, bool reverse, ByteView from, ByteView to) {
    if (!reverse) {
        cursor.seek(from);
    } else if (to.empty()) {
        cursor.seek_to_last();
    } else {
        cursor.seek_before(to);
    }
}

bool is_within(ByteView key, const ScanRequest& request) {
    return request.reverse ? key >= request.from : request.to.empty() || key < request.to;
}

class CurrentWalk final : public Walk {
public:
    CurrentWalk(storage::View& view, const ScanRequest& request)
        : request_(request), cursor_(view.cursor(Table::kCurrent)) {}

    Result<bool> advance() override {
        for (;;) {
            step();
            if (!cursor_->valid() || !is_within(cursor_->key(), request_)) {
                KVSTORE_CHECK_OK(cursor_->status());
                return false;
            }
            const auto record = decode_record(cursor_->value());
            if (!record) {
                return corruption("unreadable record of key", cursor_->key());
            }
            if (!record->has_expired(request_.now_ms)) {
                record_ = *record;
                return true;
            }
        }
    }

    [[nodiscard]] ByteView key() const override { return cursor_->key(); }
    [[nodiscard]] const Record& record() const override { return record_; }

private:
    void step() {
        if (!begun_) {
            begin(*cursor_, request_.reverse, request_.from, request_.to);
            begun_ = true;
        } else if (request_.reverse) {
            cursor_->previous();
        } else {
            cursor_->next();
        }
    }

    const ScanRequest& request_;
    std::unique_ptr<Cursor> cursor_;
    Record record_;
    bool begun_ = false;
};

// Merges the keys of kCurrent with those of kIndex: a record that was deleted since is only in the
// index, one that has not changed since the log begins is only in kCurrent.
class PastWalk final : public Walk {
public:
    PastWalk(storage::View& view, const ScanRequest& request)
        : view_(view),
          request_(request),
          current_(view.cursor(Table::kCurrent)),
          index_(view.cursor(Table::kIndex)),
          probe_(view.cursor(Table::kIndex)) {
        begin(*current_, request.reverse, request.from, request.to);
        Bytes from;
        Bytes to;
        make_index_prefix(request.from, from);
        if (!request.to.empty()) {
            make_index_prefix(request.to, to);
        }
        begin(*index_, request.reverse, from, to);
    }

    Result<bool> advance() override {
        for (;;) {
            step();
            KVSTORE_TRY(const bool any, choose());
            if (!any) {
                return false;
            }
            KVSTORE_TRY(const bool existed, read());
            if (existed) {
                return true;
            }
        }
    }

    [[nodiscard]] ByteView key() const override { return key_; }
    [[nodiscard]] const Record& record() const override { return record_; }

private:
    // Moves the cursors that stand at the key of the last round.
    void step() {
        if (at_current_) {
            request_.reverse ? current_->previous() : current_->next();
        }
        if (at_index_ && request_.reverse) {
            make_index_prefix(key_, scratch_);
            index_->seek_before(scratch_);
        } else if (at_index_) {
            make_index_end(key_, scratch_);
            index_->seek(scratch_);
        }
        at_current_ = false;
        at_index_ = false;
    }

    // The nearer of the keys at which the two cursors stand.
    Result<bool> choose() {
        const bool current = current_->valid() && is_within(current_->key(), request_);
        bool index = index_->valid();
        if (index) {
            Revision revision;
            if (!parse_index_key(index_->key(), index_key_, revision)) {
                return corruption("unreadable index key", index_->key());
            }
            index = is_within(index_key_, request_);
        }
        KVSTORE_CHECK_OK(current_->status());
        KVSTORE_CHECK_OK(index_->status());
        if (!current && !index) {
            return false;
        }
        const bool both = current && index;
        const bool current_is_first = both && (request_.reverse ? current_->key() > index_key_
                                                                : current_->key() < index_key_);
        at_current_ = current && (!index || current_is_first || current_->key() == index_key_);
        at_index_ = index && (!current || !current_is_first);
        key_.assign(at_current_ ? current_->key() : ByteView(index_key_));
        return true;
    }

    Result<bool> read() {
        PastRecord past;
        if (at_index_) {
            KVSTORE_TRY(past, read_past(view_, *probe_, key_, request_.as_of, scratch_));
        }
        const bool is_current = past.answer == PastRecord::Answer::kUnchanged;
        if (past.answer == PastRecord::Answer::kAbsent || (is_current && !at_current_)) {
            return false;
        }
        const auto record = decode_record(is_current ? current_->value() : past.stored);
        if (!record) {
            return corruption("unreadable record of key", key_);
        }
        record_ = *record;
        return !is_current || record->mod_revision <= request_.as_of;
    }

    storage::View& view_;
    const ScanRequest& request_;
    std::unique_ptr<Cursor> current_;
    std::unique_ptr<Cursor> index_;
    std::unique_ptr<Cursor> probe_;
    bool at_current_ = false;  // the cursor stands at key_
    bool at_index_ = false;
    Bytes key_;
    Bytes index_key_;
    Bytes scratch_;
    Record record_;
};

}  // namespace

std::unique_ptr<Walk> walk_current(storage::View& view, const ScanRequest& request) {
    return std::make_unique<CurrentWalk>(view, request);
}

std::unique_ptr<Walk> walk_past(storage::View& view, const ScanRequest& request) {
    return std::make_unique<PastWalk>(view, request);
}

}  // namespace kvstore::mvcc::internal
