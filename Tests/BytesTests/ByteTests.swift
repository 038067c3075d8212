import Bytes
import Testing

@Suite struct ByteTests {
  @Test func everyWidthRoundTrips() throws {
    var writer = ByteWriter()
    writer.writeInt8(-1)
    writer.writeInt16(-2)
    writer.writeInt32(.min)
    writer.writeInt64(.max)
    writer.writeUInt16(65535)
    writer.writeDouble(-1.5)
    writer.writeText("žluť")
    var reader = ByteReader(writer.span)
    #expect(try reader.readInt8() == -1)
    #expect(try reader.readInt16() == -2)
    #expect(try reader.readInt32() == .min)
    #expect(try reader.readInt64() == .max)
    #expect(try reader.readUInt16() == 65535)
    #expect(try reader.readDouble() == -1.5)
    #expect(try reader.readText(6) == "žluť")
    #expect(reader.remaining == 0)
  }

  @Test(arguments: [0, 1, -1, 63, -64, 64, Int32.max, Int32.min])
  func varintsRoundTrip(_ value: Int32) throws {
    var writer = ByteWriter()
    writer.writeVarint(value)
    writer.writeVarlong(Int64(value) << 31)
    writer.writeUnsignedVarint(UInt32(bitPattern: value))
    var reader = ByteReader(writer.span)
    #expect(try reader.readVarint() == value)
    #expect(try reader.readVarlong() == Int64(value) << 31)
    #expect(try reader.readUnsignedVarint() == UInt32(bitPattern: value))
  }

  @Test func overlongVarintsAreRefused() {
    let bytes = [UInt8](repeating: 0xff, count: 11)
    var reader = ByteReader(bytes.span.bytes)
    var failure: ByteError?
    do { _ = try reader.readUnsignedVarint() } catch { failure = error }
    #expect(failure == .varintTooLong)
  }

  @Test func aCountThatCannotBeThereIsRefused() {
    let bytes: [UInt8] = [1, 2, 3]
    let reader = ByteReader(bytes.span.bytes)
    var failure: ByteError?
    do { _ = try reader.checkCount(1 << 30, atLeast: 4) } catch { failure = error }
    #expect(failure == .invalidLength(1 << 30))
  }

  @Test func framesCountWhatIsSplicedIntoThem() {
    var writer = ByteWriter()
    let mark = writer.beginFrame()
    writer.writeInt16(7)
    writer.writeSplice(token: 1, count: 1000)
    writer.writeInt8(1)
    writer.endFrame(mark)
    #expect(writer.array() == [0, 0, 3, 235, 0, 7, 1])
    #expect(writer.splices.map(\.position) == [6])
  }
}
