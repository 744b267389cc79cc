namespace Uml.Storage.Nbd.Protocol;

/// <summary>The other side did what the protocol does not allow. The message is the end of a sentence that names it.</summary>
internal sealed class NbdProtocolException(string message) : IOException(message);
