#include "http/message.h"

#include <string>

#include <gtest/gtest.h>

#include "base/random.h"

namespace kvstore::http {
namespace {

TEST(PercentEncoding, IsUndoneByDecoding) {
    std::string all;
    for (int i = 0; i < 256; ++i) {
        all += static_cast<char>(i);
    }
    const std::string encoded = percent_encode(all);
    EXPECT_EQ(percent_decode(encoded), all);
    EXPECT_EQ(encoded.find_first_not_of("%0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "abcdefghijklmnopqrstuvwxyz-._~"),
              std::string::npos);
}

TEST(PercentEncoding, LeavesUnreservedCharactersAlone) {
    EXPECT_EQ(percent_encode("AZaz09-._~"), "AZaz09-._~");
    EXPECT_EQ(percent_encode("a b/+%"), "a%20b%2F%2B%25");
}

TEST(PercentEncoding, IsDecodedInEitherCase) {
    EXPECT_EQ(percent_decode("%2f%2F%c3%A9"), "//\xc3\xa9");
    EXPECT_EQ(percent_decode("a+b"), "a+b");
    EXPECT_EQ(percent_decode(""), "");
    EXPECT_EQ(percent_decode("%00"), std::string(1, '\0'));
}

TEST(PercentEncoding, IsRefusedWhereItIsCutOffOrNotHexadecimal) {
    for (const char* text : {"%", "a%", "%4", "a%4", "%zz", "%4g", "%g4", "%%20", "% 1", "%-1"}) {
        EXPECT_EQ(percent_decode(text), std::nullopt) << text;
    }
}

TEST(Target, IsSplitIntoPathAndQuery) {
    Request request;
    ASSERT_TRUE(parse_target("/v1/keys/a%2Fb?prefix=x%26y&limit=2&flag&=v&&a=b=c", request));
    EXPECT_EQ(request.path, "/v1/keys/a%2Fb");
    const std::vector<std::pair<std::string, std::string>> expected{
        {"prefix", "x&y"}, {"limit", "2"}, {"flag", ""}, {"", "v"}, {"a", "b=c"}};
    EXPECT_EQ(request.query, expected);
    EXPECT_EQ(request.parameter("limit"), "2");
    EXPECT_EQ(request.parameter("flag"), "");
    EXPECT_EQ(request.parameter("absent"), std::nullopt);
}

TEST(Target, TakesPlusForABlankInTheQueryOnly) {
    Request request;
    ASSERT_TRUE(parse_target("/a+b?c=d+e%2Bf", request));
    EXPECT_EQ(request.path, "/a+b");
    EXPECT_EQ(request.parameter("c"), "d e+f");
}

TEST(Target, HasAnEmptyQueryBehindABareQuestionMark) {
    Request request;
    ASSERT_TRUE(parse_target("/a?", request));
    EXPECT_EQ(request.path, "/a");
    EXPECT_TRUE(request.query.empty());
}

TEST(Target, MayBeAWholeUrl) {
    for (const char* target : {"http://h:1/a?b=c", "HTTPS://h/a?b=c"}) {
        Request request;
        ASSERT_TRUE(parse_target(target, request)) << target;
        EXPECT_EQ(request.path, "/a");
        EXPECT_EQ(request.parameter("b"), "c");
    }
    Request bare;
    ASSERT_TRUE(parse_target("http://h", bare));
    EXPECT_EQ(bare.path, "/");
    Request query;
    ASSERT_TRUE(parse_target("http://h?b=/c", query));
    EXPECT_EQ(query.path, "/");
    EXPECT_EQ(query.parameter("b"), "/c");
}

TEST(Target, IsRefusedWhenItIsNoPathOrItsQueryIsMalformed) {
    for (const char* target :
         {"", "*", "a", "h:1", "http:///a", "http://", "ftp://h/a", "/a?b=%", "/a?%zz=1"}) {
        Request request;
        EXPECT_FALSE(parse_target(target, request)) << target;
    }
}

TEST(Target, IsReadBackAsItWasWrittenWhateverTheBytes) {
    Random random(7);
    for (int i = 0; i < 1000; ++i) {
        std::string bytes;
        for (std::uint64_t left = random.below(20); left > 0; --left) {
            bytes += static_cast<char>(random.below(256));
        }
        Request request;
        ASSERT_TRUE(parse_target("/k?v=" + percent_encode(bytes), request));
        ASSERT_EQ(request.parameter("v"), bytes);
    }
}

TEST(HeaderNames, AreComparedWithoutRegardToCase) {
    const Headers headers{{"ETag", "1"}, {"etag", "2"}};
    EXPECT_EQ(find_header(headers, "ETAG"), "1");
    EXPECT_EQ(find_header(headers, "ETagg"), std::nullopt);
    EXPECT_EQ(find_header({}, "ETag"), std::nullopt);
}

TEST(MediaTypes, AreComparedWithoutCaseAndParameters) {
    for (const char* header : {"a/b", " A/B ", "a/b;c=d", "a/b ; c=d", "\ta/b"}) {
        EXPECT_TRUE(is_media_type(header, "a/b")) << header;
    }
    for (const char* header : {"", "a/bc", "a/", "xa/b", "c;a/b", "a/b,c/d"}) {
        EXPECT_FALSE(is_media_type(header, "a/b")) << header;
    }
}

TEST(Methods, HaveTheirNames) {
    for (const Method method : {Method::kGet,
                                Method::kHead,
                                Method::kPut,
                                Method::kPost,
                                Method::kDelete,
                                Method::kPatch,
                                Method::kOptions,
                                Method::kOther}) {
        EXPECT_FALSE(method_name(method).empty());
    }
    EXPECT_EQ(method_name(Method::kDelete), "DELETE");
}

TEST(ReasonPhrases, AreThereForEveryStatusThatIsSent) {
    for (const unsigned status :
         {200U, 201U, 204U, 304U, 400U, 401U, 403U, 404U, 405U, 408U, 409U, 410U,
          412U, 413U, 417U, 422U, 429U, 431U, 500U, 501U, 503U, 504U, 505U, 507U}) {
        EXPECT_NE(reason_phrase(status), "Unknown") << status;
    }
    EXPECT_EQ(reason_phrase(299), "Unknown");
}

}  // namespace
}  // namespace kvstore::http
