// Operations on the value of one key. `found_` is what stands there.
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/parse.h"
#include "mvcc/internal/applier.h"

namespace kvstore::mvcc::internal {
namespace {

std::size_t value_bytes_max_of(const Operation& operation) {
    return operation.value_bytes_max != 0 ? operation.value_bytes_max : kValueBytesMax;
}

}  // namespace

Status Applier::get(const Operation& /*operation*/) {
    if (found_.present) {
        result_.previous = found_.record;
    }
    return {};
}

Status Applier::put(const Operation& operation) {
    write(operation, operation.argument);
    return {};
}

Status Applier::increment(const Operation& operation) {
    std::int64_t number = 0;
    if (found_.present) {
        const auto parsed = parse_int64(found_.record.value);
        if (!parsed) {
            refuse(Code::kInvalidArgument);
            return {};
        }
        number = *parsed;
    }
    if (__builtin_add_overflow(number, operation.delta, &number)) {
        refuse(Code::kOutOfRange);
        return {};
    }
    std::array<char, std::numeric_limits<std::int64_t>::digits10 + 3> text;
    const char* end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
    write(operation, {text.data(), static_cast<std::size_t>(end - text.data())});
    result_.number = number;
    return {};
}

Status Applier::increment_float(const Operation& operation) {
    const auto before = found_.present ? parse_float(found_.record.value) : 0.0L;
    const auto by = parse_float(operation.argument);
    if (!before || !by) {
        refuse(Code::kInvalidArgument);
        return {};
    }
    const long double sum = *before + *by;
    if (!std::isfinite(sum)) {
        refuse(Code::kOutOfRange);
        return {};
    }
    if (float_text_ == nullptr) {
        float_text_ = std::make_unique<FloatText>();
    }
    result_.text = format_float(sum, *float_text_);
    write(operation, result_.text);
    return {};
}

Status Applier::append(const Operation& operation) {
    const ByteView before = found_.present ? found_.record.value : ByteView();
    if (before.size() + operation.argument.size() > value_bytes_max_of(operation)) {
        refuse(Code::kTooLarge);
        return {};
    }
    value_.assign(before);
    value_.append(operation.argument);
    write(operation, value_);
    result_.number = static_cast<std::int64_t>(value_.size());
    return {};
}

Status Applier::set_range(const Operation& operation) {
    const ByteView before = found_.present ? found_.record.value : ByteView();
    if (operation.delta < 0) {
        refuse(Code::kOutOfRange);
        return {};
    }
    if (operation.argument.empty()) {
        result_.number = static_cast<std::int64_t>(before.size());
        return {};
    }
    const auto offset = static_cast<std::uint64_t>(operation.delta);
    const std::size_t bytes_max = value_bytes_max_of(operation);
    if (operation.argument.size() > bytes_max || offset > bytes_max - operation.argument.size()) {
        refuse(Code::kTooLarge);
        return {};
    }
    value_.assign(before);
    if (value_.size() < offset + operation.argument.size()) {
        value_.resize(offset + operation.argument.size());
    }
    value_.replace(offset, operation.argument.size(), operation.argument);
    write(operation, value_);
    result_.number = static_cast<std::int64_t>(value_.size());
    return {};
}

void Applier::write(const Operation& operation, ByteView value) {
    const bool keeps = operation.expiry_mode == ExpiryMode::kKeep && found_.present;
    if (operation.expiry_mode == ExpiryMode::kAt && operation.expires_at_ms <= writer_.now_ms()) {
        if (found_.present) {
            writer_.erase(operation.key, found_, Change::Kind::kDelete);
            result_.changed = true;
        }
        return;
    }
    Record record;
    record.value = value;
    record.lease = operation.lease != 0 || !keeps ? operation.lease : found_.record.lease;
    if (operation.expiry_mode == ExpiryMode::kAt) {
        record.expires_at_ms = operation.expires_at_ms;
    } else if (keeps) {
        record.expires_at_ms = found_.record.expires_at_ms;
    }
    writer_.put(operation.key, found_, record);
    result_.changed = true;
}

}  // namespace kvstore::mvcc::internal
