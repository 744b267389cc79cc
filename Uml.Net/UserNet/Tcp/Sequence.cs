namespace Uml.Net.UserNet.Tcp;

/// <summary>Sequence numbers of TCP, which wrap around (RFC 9293, 3.4).</summary>
internal static class Sequence
{
    public static bool IsBefore(uint left, uint right) => (int)(left - right) < 0;

    public static bool IsBeforeOrAt(uint left, uint right) => (int)(left - right) <= 0;

    public static uint Later(uint left, uint right) => IsBefore(left, right) ? right : left;

    public static uint Earlier(uint left, uint right) => IsBefore(left, right) ? left : right;
}
