namespace Uml.Core.Cpu.Execute;

/// <summary>Emitted code raised an exception of the host's processor: a defect of the translator. The message is the report.</summary>
internal sealed class EmittedCodeFaultException(string report) : Exception(report);
