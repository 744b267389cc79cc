using System.Buffers.Binary;
using Uml.Net.Packets;

namespace Uml.Net.UserNet.Dns;

/// <summary>Results of a question (RFC 1035, 4.1.1).</summary>
internal enum DnsCode : byte
{
    None = 0,
    ServerFailure = 2,
    NoSuchName = 3,
}

/// <summary>What a message asks for.</summary>
/// <param name="Name">The name, in lower case.</param>
/// <param name="Type">The type of the records.</param>
/// <param name="End">Where the question ends.</param>
internal readonly record struct DnsQuestion(string Name, ushort Type, int End);

/// <summary>Messages of DNS (RFC 1035, 4).</summary>
internal static class DnsMessage
{
    public const ushort Port = 53, AddressType = 1, AddressType6 = 28;

    private const int HeaderLength = 12, QuestionsField = 4, AnswersField = 6, RecordLength = 10;
    private const byte ResponseFlag = 0x80, OperationMask = 0x78, AuthorityFlag = 4, RecursionFlag = 1, RecursionAvailableFlag = 0x80;
    private const ushort InternetClass = 1;
    private const uint TimeToLive = 30;

    /// <summary>Reads what a message asks, or has been asked.</summary>
    /// <returns>False when it does not ask one thing of the Internet.</returns>
    public static bool TryReadQuestion(ReadOnlySpan<byte> message, out DnsQuestion question)
    {
        question = default;
        int at = HeaderLength;
        if (message.Length < HeaderLength || (message[2] & OperationMask) != 0 || BinaryPrimitives.ReadUInt16BigEndian(message[QuestionsField..]) != 1
            || !DnsName.TryRead(message, ref at, out string name) || at + 4 > message.Length
            || BinaryPrimitives.ReadUInt16BigEndian(message[(at + 2)..]) != InternetClass)
        {
            return false;
        }

        question = new DnsQuestion(name, BinaryPrimitives.ReadUInt16BigEndian(message[at..]), at + 4);
        return true;
    }

    public static bool IsResponse(ReadOnlySpan<byte> message) => message.Length >= HeaderLength && (message[2] & ResponseFlag) != 0;

    /// <summary>Answers a question.</summary>
    /// <param name="message">The message with the question.</param>
    /// <param name="question">What it asks.</param>
    /// <param name="code">The result.</param>
    /// <param name="addresses">The addresses, of the type that is asked for.</param>
    public static byte[] Answer(ReadOnlySpan<byte> message, DnsQuestion question, DnsCode code, ReadOnlySpan<InternetAddress> addresses)
    {
        const ushort nameOfQuestion = 0xC000 | HeaderLength;
        int addressLength = question.Type == AddressType ? InternetAddress.Length4 : InternetAddress.Length6;
        int recordLength = 2 + RecordLength + addressLength;
        byte[] answer = new byte[question.End + (addresses.Length * recordLength)];
        message[..question.End].CopyTo(answer);
        answer.AsSpan(QuestionsField + 2, HeaderLength - QuestionsField - 2).Clear();
        answer[2] = (byte)(ResponseFlag | AuthorityFlag | (message[2] & RecursionFlag));
        answer[3] = (byte)(RecursionAvailableFlag | (byte)code);
        BinaryPrimitives.WriteUInt16BigEndian(answer.AsSpan(AnswersField), (ushort)addresses.Length);
        Span<byte> record = answer.AsSpan(question.End);
        foreach (InternetAddress address in addresses)
        {
            BinaryPrimitives.WriteUInt16BigEndian(record, nameOfQuestion);
            BinaryPrimitives.WriteUInt16BigEndian(record[2..], question.Type);
            BinaryPrimitives.WriteUInt16BigEndian(record[4..], InternetClass);
            BinaryPrimitives.WriteUInt32BigEndian(record[6..], TimeToLive);
            BinaryPrimitives.WriteUInt16BigEndian(record[10..], (ushort)addressLength);
            address.Write(record[12..]);
            record = record[recordLength..];
        }

        return answer;
    }

    /// <summary>Reads the addresses of an answer, up to a number.</summary>
    public static List<InternetAddress> ReadAddresses(ReadOnlySpan<byte> message, DnsQuestion question, int most)
    {
        List<InternetAddress> addresses = [];
        int at = question.End;
        for (int left = BinaryPrimitives.ReadUInt16BigEndian(message[AnswersField..]); left > 0 && addresses.Count < most; left--)
        {
            if (!DnsName.TryRead(message, ref at, out _) || at + RecordLength > message.Length)
            {
                break;
            }

            ushort type = BinaryPrimitives.ReadUInt16BigEndian(message[at..]);
            int length = BinaryPrimitives.ReadUInt16BigEndian(message[(at + 8)..]);
            at += RecordLength;
            if (at + length > message.Length)
            {
                break;
            }

            switch (type, length)
            {
                case (AddressType, InternetAddress.Length4):
                    addresses.Add(InternetAddress.Read4(message[at..]));
                    break;
                case (AddressType6, InternetAddress.Length6):
                    addresses.Add(InternetAddress.Read6(message[at..]));
                    break;
            }

            at += length;
        }

        return addresses;
    }
}
